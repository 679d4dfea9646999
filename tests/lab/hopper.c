/* Forks a child that goes on, and ends, for ever: no process of it lives long enough to be caught. */
#include <unistd.h>

int main(void) {
    for (;;) {
        if (fork() > 0)
            _exit(0);
        setsid();
        usleep(50);
    }
}
