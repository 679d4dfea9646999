/* What the actors share: a clock, a way to fail, and the memory in which rounds are written down. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_CHILDREN 64
/* Seconds after which an actor ends by itself, whatever became of whoever started it. */
#define LIFETIME 7200

struct child {
    pid_t pid;
    int64_t termed; /* CLOCK_MONOTONIC ns at which its SIGTERM handler ran */
};

struct board {
    atomic_int ready;
    pid_t root;
    struct child children[MOST_CHILDREN];
};

/* Whoever measures under nohup hands down an ignored hang-up, and Sentinel would spare us for it. */
__attribute__((constructor)) static void hear_hangups(void)
{
    signal(SIGHUP, SIG_DFL);
}

static inline int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static inline void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static inline struct board *map_board(int fd)
{
    struct board *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (board == MAP_FAILED)
        fail("mmap");
    return board;
}

/* End with the parent that started us, or after LIFETIME. */
static inline void end_with_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(LIFETIME);
}

static inline int pidfd_of(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static inline int signal_through(int pidfd, int number)
{
    return (int)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
}

/* Whether the process behind a pidfd has ended within so many milliseconds. */
static inline int ended(int pidfd, int patience)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, patience) == 1;
}

/* Whether whoever holds the other end of our standard input has gone, or said so. */
static inline int dismissed(void)
{
    struct pollfd p = {.fd = 0, .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}
