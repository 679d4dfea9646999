/* Kills roots, and writes down when what they owned got SIGTERM and when it was gone.
 *
 *   deaths ROUNDS FLOOR CHILDREN SHAPE SETTLE WORKER -- ROOT [ARGUMENT]...
 *
 * Each round starts ROOT with the arguments of root.c, waits SETTLE microseconds once its
 * CHILDREN are there, and kills it with SIGKILL. With FLOOR 1 each round is followed by two in
 * which WORKER is the root, which nobody watches, and a process of our own that knows the list
 * waits on a pidfd and signals through pidfds: the least that it can take. In the second of them
 * it reads of each process what a judgement needs before it signals the first: the least that it
 * can take somebody who looks.
 *
 * Prints a line a round, times in ns of CLOCK_MONOTONIC:
 *   watched|floor|looking ROOT KILLED GONE MISSED TERMED...      (GONE 0: not all within 5 s)
 * and at the end
 *   bystanders HURT
 * Leaves its parent at the start, so that orphans fall to a child of init as on a desktop they
 * fall to systemd --user. Ends early when its standard input is closed.
 */
#include "common.h"
#include <sys/stat.h>

#define PATIENCE 5000
#define BYSTANDERS 8
/* Rounds in which somebody was missed after which it is of no use to go on. */
#define ENOUGH 10

static int memory;
static struct board *board;

static pid_t spawn(char **argv)
{
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        alarm(LIFETIME);
        execv(argv[0], argv);
        _exit(127);
    }
    return pid;
}

static void start_root(char **prefix, char **role)
{
    char *argv[64];
    int words = 0;
    while (prefix[words] && words < 50) {
        argv[words] = prefix[words];
        words++;
    }
    for (int i = 0; i < 5; i++)
        argv[words++] = role[i];
    spawn(argv);
}

/* What a round is: its root is watched, or only ours to signal for, or that after a look. */
enum kind { WATCHED, FLOOR, LOOKING };
static const char *const NAMES[] = {"watched", "floor", "looking"};

static void read_all(const char *path)
{
    static char buffer[1 << 16];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && read(fd, buffer, sizeof buffer) == sizeof buffer)
        ;
    close(fd);
}

/* The files and links that sentinel/observe reads of a process before it is judged, in that order. */
static void look_cheaply(pid_t pid)
{
    char path[64];
    for (const char **name = (const char *[]){"stat", "status", NULL}; *name; name++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, *name);
        read_all(path);
    }
}

static void look_dearly(pid_t pid)
{
    char path[64], target[4096];
    struct stat directory;
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    read_all(path);
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    if (readlink(path, target, sizeof target) < 0)
        fail(path);
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    if (stat(path, &directory))
        fail(path);
    for (int fd = 0; fd < directory.st_size; fd++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
        if (readlink(path, target, sizeof target) < 0 && errno != ENOENT)
            fail(path);
    }
}

/* Told of the end by the pidfd, it signals the list that it was given. */
static pid_t start_floor(int root, const int *children, int count, enum kind kind)
{
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        end_with_parent();
        if (!ended(root, -1))
            _exit(1);
        for (int i = 0; kind == LOOKING && i < count; i++)
            look_cheaply(board->children[i].pid);
        for (int i = 0; kind == LOOKING && i < count; i++)
            look_dearly(board->children[i].pid);
        for (int i = count; i--;)
            signal_through(children[i], SIGTERM);
        _exit(0);
    }
    return pid;
}

static void reap(pid_t floor)
{
    while (floor && waitpid(floor, NULL, 0) < 0 && errno == EINTR)
        ;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

static int play(char **prefix, char **role, int count, int settle, enum kind kind)
{
    int fds[MOST_CHILDREN], missed = 0;
    pid_t floor = 0;
    memset(board, 0, sizeof *board);
    start_root(prefix, role);
    for (int64_t end = now() + 10000000000LL; atomic_load(&board->ready) < count || !board->root;) {
        if (now() > end)
            errno = ETIME, fail("the root did not get ready");
        usleep(300);
    }
    int root = pidfd_of(board->root);
    for (int i = 0; i < count; i++)
        if ((fds[i] = pidfd_of(board->children[i].pid)) < 0)
            fail("pidfd_open");
    if (kind != WATCHED)
        floor = start_floor(root, fds, count, kind);
    usleep(settle);
    int64_t killed = now(), deadline = killed + PATIENCE * 1000000LL;
    if (signal_through(root, SIGKILL))
        fail("the root could not be killed");
    for (int i = 0; i < count; i++) {
        int64_t left = (deadline - now()) / 1000000;
        missed += !ended(fds[i], left > 0 ? (int)left : 0);
    }
    int64_t gone = now();
    printf("%s %d %lld %lld %d", NAMES[kind], board->root, (long long)killed,
           missed ? 0LL : (long long)gone, missed);
    for (int i = 0; i < count; i++) {
        printf(" %lld", (long long)board->children[i].termed);
        signal_through(fds[i], SIGKILL);
        ended(fds[i], PATIENCE);
        close(fds[i]);
    }
    putchar('\n');
    ended(root, PATIENCE);
    close(root);
    reap(floor);
    return missed;
}

static void leave_parent(void)
{
    pid_t parent = getpid(), child = fork();
    if (child < 0)
        fail("fork");
    if (child > 0)
        _exit(0);
    while (getppid() == parent)
        usleep(200);
}

int main(int argc, char **argv)
{
    if (argc < 9 || strcmp(argv[7], "--"))
        return 2;
    int rounds = atoi(argv[1]), with_floor = atoi(argv[2]), count = atoi(argv[3]), settle = atoi(argv[5]);
    char fd[16], *worker[] = {argv[6], NULL}, *role[] = {fd, argv[3], argv[4], argv[6], NULL};
    char *bystander[] = {argv[6], "idle", NULL};
    int bystanders[BYSTANDERS], hurt = 0;

    leave_parent();
    alarm(LIFETIME);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (count > MOST_CHILDREN || (memory = memfd_create("board", 0)) < 0 || ftruncate(memory, sizeof *board))
        fail("memfd");
    snprintf(fd, sizeof fd, "%d", memory);
    board = map_board(memory);
    for (int i = 0; i < BYSTANDERS; i++)
        bystanders[i] = pidfd_of(spawn(bystander));
    for (int round = 0, bad = 0; round < rounds && bad < ENOUGH && !dismissed(); round++) {
        bad += play(argv + 8, role, count, settle, WATCHED) > 0;
        for (enum kind kind = FLOOR; with_floor && kind <= LOOKING; kind++)
            play(worker, role, count, settle, kind);
    }
    for (int i = 0; i < BYSTANDERS; i++) {
        hurt += ended(bystanders[i], 0);
        signal_through(bystanders[i], SIGKILL);
    }
    printf("bystanders %d\n", hurt);
    return 0;
}
