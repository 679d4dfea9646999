/* A storm of births.
 *
 *   forker RATE SECONDS KEEP [PROGRAM]
 *
 * Forks RATE times a second for so many seconds; the children end at once, or run PROGRAM. Every
 * KEEP-th (0: none) is one that stays. Then it says how many it bore, in how many ns,
 * and which stay, and waits to be killed, or for its standard input to be closed.
 */
#include "common.h"
#include <spawn.h>

#define MOST_KEPT 4096

static pid_t bear(int stay)
{
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child > 0)
        return child;
    alarm(LIFETIME);
    while (stay)
        pause();
    _exit(0);
}

static pid_t run(char **argv)
{
    pid_t child;
    if ((errno = posix_spawn(&child, argv[0], NULL, NULL, argv, environ)))
        fail("posix_spawn");
    return child;
}

int main(int argc, char **argv)
{
    static pid_t kept[MOST_KEPT];
    if (argc < 4)
        return 2;
    int rate = atoi(argv[1]), keep = atoi(argv[3]), stays = 0;
    long births = 0, wanted = (long)rate * atoi(argv[2]);
    int64_t began = now();
    end_with_parent();
    for (; births < wanted; births++) {
        int64_t due = began + births * 1000000000LL / rate;
        struct timespec t = {due / 1000000000LL, due % 1000000000LL};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        int stay = keep && births % keep == 0 && stays < MOST_KEPT;
        pid_t child = argc == 4 || stay ? bear(stay) : run(argv + 4);
        if (stay)
            kept[stays++] = child;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    printf("%ld %lld", births, (long long)(now() - began));
    for (int i = 0; i < stays; i++)
        printf(" %d", kept[i]);
    putchar('\n');
    fflush(stdout);
    while (read(0, &(char){0}, 1) > 0)
        ;
    for (int i = 0; i < stays; i++)
        kill(kept[i], SIGKILL); /* not reaped yet */
    return 0;
}
