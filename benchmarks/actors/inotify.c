/* The floor of file events: inotify and read(2).
 *
 *   inotify DIRECTORY
 *
 * Says "ready", then notes the time of each entry that appears or vanishes; when standard input
 * is closed it prints them, one line each: NAME NS.
 */
#include "common.h"
#include <sys/inotify.h>

#define MOST_EVENTS 100000

static struct { char name[32]; int64_t at; } seen[MOST_EVENTS];

int main(int argc, char **argv)
{
    static char buffer[1 << 16] __attribute__((aligned(8)));
    int fd = inotify_init1(IN_CLOEXEC), count = 0;
    if (argc != 2 || inotify_add_watch(fd, argv[1], IN_CREATE | IN_DELETE) < 0)
        fail("inotify");
    end_with_parent();
    puts("ready");
    fflush(stdout);
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    while (poll(fds, 2, -1) > 0 && !(fds[1].revents && !fds[0].revents)) {
        ssize_t length = read(fd, buffer, sizeof buffer);
        int64_t at = now();
        for (char *p = buffer; p < buffer + length && count < MOST_EVENTS;) {
            struct inotify_event *event = (struct inotify_event *)p;
            snprintf(seen[count].name, sizeof seen[count].name, "%s", event->name);
            seen[count++].at = at;
            p += sizeof *event + event->len;
        }
    }
    for (int i = 0; i < count; i++)
        printf("%s %lld\n", seen[i].name, (long long)seen[i].at);
    return 0;
}
