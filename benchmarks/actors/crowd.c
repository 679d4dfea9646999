/* Processes that wait.
 *
 *   crowd COUNT PROGRAM [ARGUMENT]...
 *
 * Starts PROGRAM that many times, says "ready", and ends all of them when its standard input is
 * closed.
 */
#include "common.h"

int main(int argc, char **argv)
{
    int count = argc > 2 ? atoi(argv[1]) : 0;
    pid_t *members = calloc(count + 1, sizeof *members);
    if (argc < 3 || !members)
        return 2;
    alarm(LIFETIME);
    for (int i = 0; i < count; i++) {
        if ((members[i] = fork()) < 0)
            fail("fork");
        if (members[i] == 0) {
            end_with_parent();
            execv(argv[2], argv + 2);
            _exit(127);
        }
    }
    puts("ready");
    fflush(stdout);
    while (read(0, &(char){0}, 1) > 0)
        ;
    for (int i = 0; i < count; i++)
        kill(members[i], SIGKILL); /* not reaped yet, so each has its number still */
    while (wait(NULL) > 0)
        ;
    return 0;
}
