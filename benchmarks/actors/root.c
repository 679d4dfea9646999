/* The root of a session, and what it owns.
 *
 *   NAME BOARD CHILDREN SHAPE WORKER   a root that bears children and waits to be killed; each
 *                                      stamps the board when it gets SIGTERM, and ends. SHAPE
 *                                      plain: all stay its children. SHAPE mixed: every other one
 *                                      is WORKER as a daemon, with an empty environment.
 *   NAME worker BOARD SLOT             such a daemon
 *   NAME session CHILDREN              a root with idle children, which ends with its parent
 *   NAME idle                          something that waits, and ends with its parent
 */
#include "common.h"

static struct child *mine;

static void on_term(int number)
{
    (void)number;
    mine->termed = now();
    _exit(0);
}

static void work(struct board *board, int slot)
{
    struct sigaction action = {.sa_handler = on_term};
    mine = &board->children[slot];
    alarm(LIFETIME);
    sigaction(SIGTERM, &action, NULL);
    mine->pid = getpid();
    atomic_fetch_add(&board->ready, 1);
    for (;;)
        pause();
}

/* Fork twice, leave the session, hold nothing of the terminal, and keep nothing of the environment. */
static void daemonise(const char *worker, const char *board, int slot)
{
    char number[16];
    char *argv[] = {"worker", "worker", (char *)board, number, NULL};
    char *nothing[] = {NULL};
    setsid();
    if (fork() != 0)
        _exit(0);
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    snprintf(number, sizeof number, "%d", slot);
    execve(worker, argv, nothing);
    _exit(127);
}

static void bear(char **argv)
{
    struct board *board = map_board(atoi(argv[1]));
    int children = atoi(argv[2]), mixed = !strcmp(argv[3], "mixed");
    alarm(LIFETIME);
    for (int slot = 0; slot < children; slot++) {
        pid_t child = fork();
        if (child < 0)
            fail("fork");
        if (child == 0 && mixed && slot % 2)
            daemonise(argv[4], argv[1], slot);
        else if (child == 0)
            work(board, slot);
        if (mixed && slot % 2)
            waitpid(child, NULL, 0);
    }
    board->root = getpid();
    for (;;)
        pause();
}

static void idle(void)
{
    end_with_parent();
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    if (argc == 5)
        bear(argv);
    else if (argc == 4 && !strcmp(argv[1], "worker"))
        work(map_board(atoi(argv[2])), atoi(argv[3]));
    else if (argc == 3 && !strcmp(argv[1], "session"))
        for (int children = atoi(argv[2]); children-- && fork();)
            ;
    else if (argc != 2 || strcmp(argv[1], "idle"))
        return 2;
    idle();
}
