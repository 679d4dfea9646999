#!/bin/sh
# Sentinel for tmux's plugin manager, which runs each *.tmux file of a plugin.
#
#     set -g @plugin 'OWNER/sentinel'          # with the plugin manager: it looks in the root of the clone
#     run-shell ~/path/to/sentinel.tmux          # without it
#     set -g status-right '#{@sentinel_status} %H:%M'    # if you like: no process runs for it
#
# Sets what `sentinel hooks install tmux` has said are the hooks of this user: at indexes of
# their own, so that yours stay and that running it ten times is running it once. Does nothing
# where that was never said.

for state in "$SENTINEL_STATE_DIR" "${XDG_STATE_HOME:-$HOME/.local/state}/sentinel" \
    "$HOME/Library/Application Support/sentinel"; do
    [ -n "$state" ] && [ -r "$state/tmux.conf" ] && exec tmux source-file "$state/tmux.conf"
done
exit 0
