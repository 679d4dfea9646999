"""Programs that are spared for what they are, and those that are asked to end but never killed.

Names are protection only, never proof: nothing is ended because of one, and a forged one
spares its forger. They are the second line: what these programs do (leave their parent,
serve, hold a display) is looked at by guards of its own. Scripts of node, python and java
are not here: only the words in their arguments tell them apart, and those lie.
"""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.core.facts import kernel_name


@dataclass(frozen=True, slots=True)
class Programs:
    """Programs by what the kernel calls them, or by where their executable is."""

    names: frozenset[str] = frozenset()
    """Names of processes, and of executable files; longer ones are compared as the kernel cuts them."""
    beginnings: tuple[str, ...] = ()
    """The same, of which the rest varies."""
    places: tuple[str, ...] = ()
    """Parts of the executable's path."""

    def hold(self, name: str, program: str) -> bool:
        """Whether a process is one of them.

        Args:
            name: What the kernel calls it.
            program: Path of its executable; empty when that is not known.
        """
        for called in (name, kernel_name(program.rpartition("/")[2])):
            if called in self.names or (called and called.startswith(self.beginnings)):
                return True
        return any(place in program for place in self.places)


def _called(names: str) -> frozenset[str]:
    return frozenset(map(kernel_name, names.split()))


SESSION_KEEPERS = Programs(
    _called("screen dtach abduco zellij shpool tmate mosh-server sshd sshd-session etserver etterminal"),
)
"""NK4: they hold somebody's shells, for whom parent 1 and no terminal are the normal state."""

EDITOR_SERVERS = Programs(
    _called("zed-remote-server"),
    places=(
        "/.vscode-server/",
        "/.vscode-server-insiders/",
        "/.vscode-remote/",
        "/.cursor-server/",
        "/.windsurf-server/",
        "/.vscodium-server/",
        "/.zed_server/",
        "/JetBrains/RemoteDev/",
        "/JetBrains/Toolbox/",
        "/.fleet/",
    ),
)
"""NK12: they survive their connection by design, and the next one finds them again."""

TERMINALS = Programs(
    _called(
        "gnome-terminal-server kgx ptyxis ptyxis-agent konsole xfce4-terminal mate-terminal lxterminal qterminal tilix"
        " kitty alacritty wezterm-gui wezterm-mux-server foot footclient ghostty rio xterm urxvt urxvtd rxvt st"
        " warp-terminal contour cool-retro-term"
    ),
    places=(".app/Contents/MacOS/",),
)
"""NK13: emulators, whose end closes somebody's windows, and every application bundle of macOS."""

USER_SERVICES = Programs(
    _called(
        "ssh-agent gpg-agent scdaemon keyboxd dirmngr dbus-daemon dbus-broker dbus-broker-launch dbus-launch"
        " pipewire pipewire-pulse wireplumber pulseaudio gnome-keyring-daemon kwalletd5 kwalletd6 keepassxc"
        " secret-tool systemd xdg-desktop-portal xdg-document-portal xdg-permission-store at-spi-bus-launcher"
        " at-spi2-registryd dunst mako swaync notify-osd notification-daemon fcitx5 ibus-daemon gopass-jsonapi"
    ),
    beginnings=("gvfs", "gvfsd", "xdg-desktop-por"),
)
"""NK14: one of each serves everything that the user does, whoever happened to start it."""

BUILD_DAEMONS = Programs(
    _called("watchman sccache buildkitd buck2d distccd iceccd VBCSCompiler bloop"),
    places=("/_bazel_", "/bazel/_bazel"),
)
"""NK17: started by the first build and meant for the next."""

DETACHED_DAEMONS = _called("turbo")
"""NK17: their daemon has the name of their front end, but a session of its own and no input or output."""

CONTAINER_RUNTIMES = Programs(
    _called(
        "dockerd docker-proxy docker-init containerd conmon conmonrs crun runc youki runsc podman buildah rootlesskit"
        " slirp4netns pasta pasta.avx2 vpnkit fuse-overlayfs limactl colima lxc-start lxcfs virtiofsd krunvm"
        " firecracker cloud-hypervisor"
    ),
    beginnings=("containerd-shim", "qemu-", "com.docker."),
)
"""NK18: what stands over a container; to end it loses the container, it does not end it."""

DATABASES = Programs(
    _called(
        "postgres postmaster mysqld mariadbd mongod mongos redis-server valkey-server keydb-server dragonfly memcached"
        " clickhouse clickhouse-server cockroach surreal influxd etcd nats-server couchdb"
        " neo4j arangod rethinkdb scylla meilisearch typesense-server qdrant weaviate minio"
    ),
    beginnings=("clickhouse-",),
)
"""NK19: after SIGKILL they have a lock file too many, or a table too few."""

PACKAGE_MANAGERS = Programs(
    _called(
        "apt apt-get aptitude dpkg dpkg-deb unattended-upgr dnf yum rpm zypper pacman apk snap snapd flatpak nix"
        " nix-daemon nix-build nix-env brew port npm yarn pnpm corepack pip pip3 pipx uv uvx poetry pdm conda mamba"
        " micromamba gem bundle bundler composer cargo rustup go mix rebar3 cabal stack opam luarocks git git-lfs hg"
        " svn jj"
    ),
    beginnings=("git-", "npm i", "npm ci", "npm up", "npm add"),
)
"""NK20: quiet for minutes, with a lock in their hands and half of something written.

npm and its kind are called by their titles (``npm install``); as runners of scripts
(``npm run dev``) they hold nothing, and are not here.
"""

TABLES = (
    SESSION_KEEPERS,
    EDITOR_SERVERS,
    TERMINALS,
    USER_SERVICES,
    BUILD_DAEMONS,
    CONTAINER_RUNTIMES,
    DATABASES,
    PACKAGE_MANAGERS,
)
