/* A process that does what a plan says: the building block of trees.py.
 *
 * A plan is a text file. Each line is the number of a node and a step; a node is a process that
 * takes its steps in order and then waits for ever. $TREE says which plan, node and step it is:
 * so a node goes on after it has become another program. Without it, it waits.
 *
 *   actor ground     reads "PLAN NODE" lines and bears those nodes, as a user manager would:
 *                    what they lose falls to it. Ends when its input is closed.
 *
 * Who was born and who is ready is written to PLAN.told, in one write a line: "born NODE PID" by
 * the bearer, "ready NODE PID" by itself. Numbers are those that the mounted /proc has, also
 * from within another pid namespace.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_NODES 256
#define MOST_WORDS 32

static char path[256], *plan;
static pid_t borne[MOST_NODES];
static int at_term; /* the node to bear at SIGTERM */

static void perform(int node, int from);

static void tell(const char *what, int node, long pid)
{
    char line[64], where[300];
    int length = snprintf(line, sizeof line, "%s %d %ld\n", what, node, pid);
    snprintf(where, sizeof where, "%s.told", path);
    int fd = open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, line, (size_t)length) != length)
        _exit(99);
    close(fd);
}

/* Our number, or our parent's, as /proc has it. */
static long number(int of_parent)
{
    char text[512];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        _exit(98);
    text[length] = 0;
    return of_parent ? strtol(strrchr(text, ')') + 4, NULL, 10) : strtol(text, NULL, 10);
}

static void wait_for_ever(void)
{
    for (;;)
        if (wait(NULL) < 0)
            pause();
}

static void bear(int node)
{
    pid_t child = fork();
    if (child < 0)
        _exit(97);
    if (child == 0) {
        perform(node, 0);
        wait_for_ever();
    }
    borne[node] = child;
    tell("born", node, child);
}

static void heir(int signal_number)
{
    (void)signal_number;
    signal(SIGTERM, SIG_DFL);
    bear(at_term);
    _exit(0);
}

static void catch(int signal_number)
{
    (void)signal_number;
}

static void lead(const char *to)
{
    int ends[2], fd = -1;
    if (!strcmp(to, "pipe")) {
        if (pipe(ends))
            _exit(96);
        fcntl(ends[1], F_DUPFD, 10); /* somebody keeps the other end */
        dup2(ends[0], 0);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        return;
    }
    if ((fd = open(to, O_RDWR | O_CREAT | O_APPEND, 0644)) < 0)
        _exit(95);
    for (int target = 0; target < 3; target++)
        dup2(fd, target);
    if (fd > 2)
        close(fd);
}

static int signal_named(const char *name)
{
    return !strcmp(name, "HUP") ? SIGHUP : !strcmp(name, "TERM") ? SIGTERM : !strcmp(name, "INT") ? SIGINT : atoi(name);
}

/* Lock a file for as long as this process lives, or any that it bears. */
static void hold(const char *what)
{
    int fd = open(what, O_RDWR | O_CREAT, 0644);
    if (fd < 0 || flock(fd, LOCK_EX))
        _exit(92);
}

/* Fork, have the child go on in a session of its own, and end, for so many seconds. */
static void hop(int pause_us, int seconds)
{
    for (time_t end = time(NULL) + seconds; time(NULL) < end;) {
        if (fork() != 0)
            _exit(0);
        setsid();
        usleep((useconds_t)pause_us);
    }
}

static void hydra(int pause_us, int heads)
{
    while (heads--) {
        if (fork() == 0) {
            signal(SIGTERM, SIG_IGN);
            wait_for_ever();
        }
        usleep((useconds_t)pause_us);
    }
}

/* Become another program; the next step is its first. The rest of the line is one word for the shell. */
static void become(int node, int step, char *how, char *rest)
{
    char tree[300], *words[MOST_WORDS] = {NULL}, *nothing[] = {NULL};
    int count = 0;
    snprintf(tree, sizeof tree, "%s:%d:%d", path, node, step + 1);
    setenv("TREE", tree, 1);
    setenv("PLAN", path, 1);
    if (!strcmp(how, "sh"))
        execlp("bash", "bash", "-c", rest, (char *)NULL);
    for (char *word = strtok(rest, " "); word && count < MOST_WORDS - 1; word = strtok(NULL, " "))
        words[count++] = word;
    if (!strcmp(how, "run"))
        execvp(words[0], words);
    char program[300];
    snprintf(program, sizeof program, "bin/%s", words[0]);
    execve(program, words, strcmp(how, "bare") ? environ : nothing);
    _exit(94);
}

static void take(int node, int step, char *text)
{
    char *rest = strchr(text, ' ');
    sigset_t usr1;
    if (rest)
        *rest++ = 0;
    else
        rest = text + strlen(text);
    int value = atoi(rest);
    if (!strcmp(text, "bear"))
        bear(value);
    else if (!strcmp(text, "reap"))
        waitpid(borne[value], NULL, 0);
    else if (!strcmp(text, "slay"))
        kill(borne[value], SIGKILL), waitpid(borne[value], NULL, 0);
    else if (!strcmp(text, "says"))
        tell("ready", value ? value : node, number(value != 0));
    else if (!strcmp(text, "setsid"))
        setsid();
    else if (!strcmp(text, "setpgid"))
        setpgid(0, 0);
    else if (!strcmp(text, "subreaper"))
        prctl(PR_SET_CHILD_SUBREAPER, 1);
    else if (!strcmp(text, "lead"))
        lead(rest);
    else if (!strcmp(text, "export"))
        putenv(strdup(rest));
    else if (!strcmp(text, "hold"))
        hold(rest);
    else if (!strcmp(text, "ignore"))
        signal(signal_named(rest), SIG_IGN);
    else if (!strcmp(text, "heed"))
        signal(signal_named(rest), SIG_DFL);
    else if (!strcmp(text, "catch"))
        signal(signal_named(rest), catch);
    else if (!strcmp(text, "heir"))
        at_term = value, signal(SIGTERM, heir);
    else if (!strcmp(text, "await"))
        sigemptyset(&usr1), sigaddset(&usr1, SIGUSR1), sigwait(&usr1, &(int){0});
    else if (!strcmp(text, "stop"))
        raise(SIGSTOP);
    else if (!strcmp(text, "die"))
        signal(value, SIG_DFL), kill(getpid(), value);
    else if (!strcmp(text, "end"))
        _exit(value);
    else if (!strcmp(text, "hop"))
        hop(value, atoi(strchr(rest, ' ')));
    else if (!strcmp(text, "hydra"))
        hydra(value, atoi(strchr(rest, ' ')));
    else
        become(node, step, text, rest);
}

/* Take the steps of a node from this one on. */
static void perform(int node, int from)
{
    char mark[16], line[1024];
    int step = 0;
    size_t width = (size_t)snprintf(mark, sizeof mark, "%d ", node);
    for (char *at = plan; at && *at; at = strchr(at, '\n'), at += at != NULL) {
        size_t length = strcspn(at, "\n");
        if (strncmp(at, mark, width) || step++ < from)
            continue;
        snprintf(line, sizeof line, "%.*s", (int)(length - width), at + width);
        take(node, step - 1, line);
    }
}

static void open_plan(const char *name)
{
    snprintf(path, sizeof path, "%s", name);
    FILE *file = fopen(path, "re");
    size_t size = 0;
    plan = NULL;
    if (!file || getdelim(&plan, &size, 0, file) < 0)
        _exit(93);
    fclose(file);
}

static int ground(void)
{
    char line[300], name[256];
    int node;
    struct pollfd input = {.fd = 0, .events = POLLIN};
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(SIGHUP, SIG_DFL); /* whoever tests under nohup hands down an ignored one */
    setvbuf(stdin, NULL, _IONBF, 0); /* or poll would not know of the second line */
    for (;;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (poll(&input, 1, 10) <= 0)
            continue;
        if (!fgets(line, sizeof line, stdin) || sscanf(line, "%255s %d", name, &node) != 2)
            return 0;
        if (fork() == 0) {
            lead("/dev/null");
            setsid();
            open_plan(name);
            perform(node, 0);
            wait_for_ever();
        }
    }
}

int main(int argc, char **argv)
{
    sigset_t usr1;
    char name[256], *tree = getenv("TREE");
    int node, step = 0;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, NULL); /* `await` must not miss it */
    if (argc == 2 && !strcmp(argv[1], "ground"))
        return ground();
    if (tree && sscanf(tree, "%255[^:]:%d:%d", name, &node, &step) >= 2) {
        open_plan(name);
        perform(node, step);
    }
    wait_for_ever();
}
