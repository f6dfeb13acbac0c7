# lib.sh: what scripts/test, scripts/demo and the tests in test/t/ share. Source it, do not run it.
#
#   . scripts/lib.sh
#   install_packages [test]           what is missing, by apt-get; `test` also what only the tests need
#   unpack_postfix                    smtp-sink for the tests, without installing Postfix
#   work_dir                          a temporary directory that the server's user can read: $work
#   build_tree DIR                    a copy of the sources in DIR, built with warnings as errors
#   start_server DIR [name=value …]   a private PostgreSQL; exports PGHOST, PGPORT, PGUSER, PGDATABASE
#   stop_server DIR
#   start_process LOG command …       in the background, its output in LOG; $process is its pid
#   end_process PID                   by SIGTERM; returns its exit status
#   timed LABEL command …             runs it, its output kept in a log that is shown when it fails
#
# Nothing here touches a server or cluster that it has not started itself. A server runs as user postgres when we are
# root, which PostgreSQL refuses to be, and as ourselves otherwise. It listens on a socket in its own directory only, so
# there is no port to collide on. Everything is stopped and removed when the shell ends, unless $keep is set.

set -u -o pipefail
umask 022
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LC_ALL=C.UTF-8 LANGUAGE=
unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGSERVICE PGOPTIONS PGDATA PGSSLMODE PGTZ PGAPPNAME
unset MAKEFLAGS MFLAGS MAKELEVEL COPT CDPATH
export PSQLRC=/dev/null PGCONNECT_TIMEOUT=30 PAGER=cat

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# ---- privileges -----------------------------------------------------------------------------------------------------

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif ! command -v sudo >/dev/null; then
		die "'$*' needs root: run as root, or install sudo"
	elif [ -t 0 ]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}

as_server() {
	if [ "$(id -u)" = 0 ]; then
		(cd / && exec runuser -u postgres -- "$@")
	else
		"$@"
	fi
}

# ---- packages -------------------------------------------------------------------------------------------------------

# The PostgreSQL to build for: $PG_CONFIG, or what pg_config names when its server and headers are there.
find_postgres() {
	local config=${PG_CONFIG:-pg_config}
	command -v "$config" >/dev/null && [ -e "$("$config" --pgxs 2>/dev/null)" ] || return 1
	[ -e "$("$config" --includedir-server)/postgres.h" ] && [ -x "$("$config" --bindir)/initdb" ] || return 1
	export PG_CONFIG=$config
	pg_bin=$("$config" --bindir)
	pg_major=$("$config" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
}

# The major version that is installed already, or else the distribution's.
apt_major() {
	local newest
	newest=$(ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null | sed 's|^/usr/lib/postgresql/\([0-9]*\)/.*|\1|' | sort -n | tail -n 1)
	[ -n "$newest" ] || newest=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
	[ -n "$newest" ] || return 1
	say "$newest"
}

# A python3 with the modules the tests use; one that is first in PATH may not see what apt-get installs.
find_python() {
	for python in python3 /usr/bin/python3; do
		! "$python" -c 'import jsonschema, aiosmtpd' 2>/dev/null || return 0
	done
	return 1
}

# Postfix's smtp-sink. The package is not installed but unpacked, into a directory of our user's: to install it would
# remove another mail server, and start one.
postfix_cache=${XDG_CACHE_HOME:-${HOME:-/var/tmp}/.cache}/settle/postfix
has_sink() {
	[ -x "$postfix_cache/usr/sbin/smtp-sink" ] || PATH=$PATH:/usr/sbin command -v smtp-sink >/dev/null
}

unpack_postfix() {
	local fresh libraries
	mkdir -p "${postfix_cache%/*}" && fresh=$(mktemp -d "${postfix_cache%/*}/unpack.XXXXXX") || return 1
	(cd "$fresh" && apt-get -q download postfix && dpkg-deb -x postfix_*.deb . && chmod 755 .) || return 1
	mapfile -t libraries < <(dpkg-deb -f "$fresh"/postfix_*.deb Depends | tr ',' '\n' | sed -n 's/^ *\(lib[a-z0-9.+-]*\).*/\1/p')
	apt_install "${libraries[@]}" || return 1
	rm -rf "$fresh"/postfix_*.deb "$postfix_cache"
	mv "$fresh" "$postfix_cache"
}

clang_sanitizes() {
	echo 'int main(void){return 0;}' | clang -fsanitize=address,undefined -x c - -o /dev/null 2>/dev/null
}

missing_packages() { # the PostgreSQL ones are added once the version is known
	command -v gcc >/dev/null && echo '#include <stdio.h>' | gcc -E - >/dev/null 2>&1 || say gcc libc6-dev
	command -v make >/dev/null || say make
	command -v pkg-config >/dev/null || say pkg-config
	pkg-config --exists libpq 2>/dev/null || say libpq-dev
	pkg-config --exists libcrypto 2>/dev/null || say libssl-dev
	find_postgres || say postgresql
	pkg-config --exists rdkafka 2>/dev/null || say librdkafka-dev
	pkg-config --exists libuv 2>/dev/null || say libuv1-dev
	pkg-config --exists libmicrohttpd 2>/dev/null || say libmicrohttpd-dev
	pkg-config --exists inih 2>/dev/null || say libinih-dev
	pkg-config --exists jansson 2>/dev/null || say libjansson-dev
	pkg-config --exists libcurl 2>/dev/null || say libcurl4-openssl-dev
	command -v kcat >/dev/null || say kcat
	[ "${1:-}" = test ] || return 0
	command -v ps >/dev/null || say procps
	command -v python3 >/dev/null || say python3
	find_python || say python3-jsonschema python3-aiosmtpd
	command -v openssl >/dev/null || say openssl
	has_sink || say postfix
	command -v pg_prove >/dev/null || say libtap-parser-sourcehandler-pgtap-perl
	find_postgres && [ -e "$("$PG_CONFIG" --sharedir)/extension/pgtap.control" ] || say pgtap
	command -v clang >/dev/null || say clang
	command -v java >/dev/null || say default-jre-headless
	command -v mvn >/dev/null || say maven
	clang_sanitizes || say libclang-rt
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install "$@" </dev/null
}

install_packages() {
	local wanted=() package major extra=() conf=/etc/postgresql-common/createcluster.d/settle-scripts.conf had_server=no
	mapfile -t wanted < <(missing_packages "${1:-}" | tr ' ' '\n' | sort -u)
	if [ ${#wanted[@]} -gt 0 ]; then
		command -v apt-get >/dev/null || die "install these first, there is no apt-get here: ${wanted[*]}"
		say "installing what is missing: ${wanted[*]}"
		work_dir
		as_root apt-get -q update </dev/null >"$work/apt.log" 2>&1 || say "apt-get update failed, trying with the lists that are here"
		major=$(apt_major) || die "apt-get knows no PostgreSQL"
		ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && had_server=yes
		for package in "${wanted[@]}"; do
			case $package in
				postgresql) extra+=("postgresql-$major" "postgresql-server-dev-$major") ;;
				pgtap) extra+=("postgresql-$major-pgtap") ;;
				libclang-rt | postfix) ;;
				*) extra+=("$package") ;;
			esac
		done
		# A new server package would start a cluster of its own on port 5432.
		if [ $had_server = no ]; then
			as_root mkdir -p "${conf%/*}"
			echo 'create_main_cluster = false' | as_root tee "$conf" >/dev/null
		fi
		local ok=yes
		[ ${#extra[@]} = 0 ] || apt_install "${extra[@]}" >>"$work/apt.log" 2>&1 || ok=no
		[ $had_server = yes ] || as_root rm -f "$conf"
		[ $ok = yes ] || { tail -n 30 "$work/apt.log"; die "apt-get install ${extra[*]} failed"; }
		[ "${1:-}" != test ] || has_sink || unpack_postfix >>"$work/apt.log" 2>&1 || true
		# The sanitizers of clang are a package of their own in some releases, and of clang in others.
		if [ "${1:-}" = test ] && ! clang_sanitizes; then
			apt_install "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev" >>"$work/apt.log" 2>&1 || true
		fi
		mapfile -t wanted < <(missing_packages "${1:-}" | tr ' ' '\n' | sort -u)
		[ ${#wanted[@]} = 0 ] || { tail -n 30 "$work/apt.log"; die "still missing: ${wanted[*]}"; }
	fi
	find_postgres || die "no PostgreSQL with server headers was found; set PG_CONFIG"
	find_python || true
}

# ---- temporary directory and its end --------------------------------------------------------------------------------

work=
servers=()
declare -A processes=() # by pid
python=python3
keep=${keep:-}

work_dir() {
	[ -z "$work" ] || return 0
	work=$(mktemp -d "${TMPDIR:-/tmp}/settle.XXXXXX") || die "cannot create a temporary directory"
	chmod 755 "$work"
}

clean_up() {
	local code=$? dir pid
	trap - EXIT INT TERM HUP
	for pid in "${!processes[@]}"; do end_process "$pid"; done
	if [ -z "$keep" ]; then
		for dir in "${servers[@]+"${servers[@]}"}"; do stop_server "$dir" QUIT; done
		[ -z "$work" ] || rm -rf "$work" 2>/dev/null || as_root rm -rf "$work"
	fi
	exit $code
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- build ----------------------------------------------------------------------------------------------------------

# A copy, so that neither the clone nor what is built there is touched, and the clone may be where others cannot read.
copy_tree() {
	mkdir -p "$1"
	tar -C "$root" --exclude=./.git --exclude=./out --exclude='*.o' --exclude='*.bc' --exclude='*.so' --exclude='*.d' \
		--exclude=./bench/build --exclude=./bench/generate --exclude=./bench/producer --exclude=./notifier/build --exclude=./notifier/settle-relay --exclude=./notifier/settle-devbroker --exclude=./notifier/settle-notifier --exclude=./test/unit/build --exclude=./test/fuzz/build --exclude=./settle--1.0.sql \
		--exclude=./results --exclude=./output_iso --exclude='./regression.*' -cf - . | tar -C "$1" -xf -
}

# without bitcode for the JIT: it doubles the time and changes nothing here
build_tree() {
	[ -d "$1" ] || copy_tree "$1" || return 1
	make -s -C "$1" -j"$(nproc)" with_llvm=no COPT=-Werror PG_CONFIG="$PG_CONFIG" && make -s -C "$1/bench" -j"$(nproc)" PG_CONFIG="$PG_CONFIG"
}

install_tree() {
	if [ -w "$("$PG_CONFIG" --pkglibdir)" ]; then
		make -C "$1" with_llvm=no PG_CONFIG="$PG_CONFIG" install
	else
		as_root make -C "$1" with_llvm=no PG_CONFIG="$PG_CONFIG" install
	fi
}

# ---- servers --------------------------------------------------------------------------------------------------------

start_server() {
	local dir=$1 setting
	shift
	mkdir -p "$dir" && chmod 755 "$dir"
	[ "$(id -u)" != 0 ] || chown postgres "$dir"
	if [ ! -e "$dir/data/PG_VERSION" ]; then
		as_server "$pg_bin/initdb" -D "$dir/data" -U postgres -A trust -N --encoding=UTF8 --locale=C >"$dir.initdb.log" 2>&1 \
			|| { cat "$dir.initdb.log"; return 1; }
		{
			echo "unix_socket_directories = '$dir'"
			echo "listen_addresses = ''"
			echo "port = $((20000 + RANDOM))"
			echo "wal_level = logical"
			echo "max_worker_processes = 16"
			echo "shared_buffers = 256MB"
			echo "max_wal_size = 4GB"
			echo "fsync = off"
			echo "timezone = 'UTC'"
			echo "log_timezone = 'UTC'"
			# minor releases since 2026 let only the plugins of this list read logical replication slots
			! as_server "$pg_bin/postgres" -D "$dir/data" -C output_plugin_libraries >/dev/null 2>&1 \
				|| echo "output_plugin_libraries = 'pgoutput, test_decoding, settle'"
			for setting in "$@"; do echo "${setting%%=*} = '${setting#*=}'"; done
		} | as_server tee -a "$dir/data/postgresql.conf" >/dev/null
	fi
	as_server "$pg_bin/pg_ctl" -D "$dir/data" -l "$dir/log" -t 60 -w start >"$dir.start.log" 2>&1 </dev/null \
		|| { cat "$dir.start.log"; tail -n 20 "$dir/log"; return 1; }
	servers+=("$dir")
	head -n 1 "$dir/data/postmaster.pid" >"$dir.pid" 2>/dev/null || as_server head -n 1 "$dir/data/postmaster.pid" >"$dir.pid"
	use_server "$dir"
}

use_server() {
	export PGHOST=$1 PGUSER=postgres PGDATABASE=postgres
	PGPORT=$(as_server sed -n 's/^port = //p' "$1/data/postgresql.conf" | tail -n 1)
	export PGPORT
}

# By the pid that was read when it started, and only while that pid still is the one in this directory.
stop_server() { # DIR [signal]: INT = fast, QUIT = immediate, for a server whose files go anyway
	local dir=$1 pid tries=0
	pid=$(cat "$dir.pid" 2>/dev/null) || return 0
	[ "$(as_server head -n 1 "$dir/data/postmaster.pid" 2>/dev/null)" = "$pid" ] || return 0
	as_server kill "-${2:-INT}" "$pid" 2>/dev/null || return 0
	while [ -d "/proc/$pid" ] && [ $((tries++)) -lt 300 ]; do sleep 0.1; done
	[ ! -d "/proc/$pid" ] || as_server kill -QUIT "$pid" 2>/dev/null
	rm -f "$dir.pid"
}

# ---- processes ------------------------------------------------------------------------------------------------------

process=
start_process() { # LOG command …
	local log=$1
	shift
	"$@" >>"$log" 2>&1 </dev/null &
	process=$!
	processes[$process]=$1
}

# By the pid that it was started with, while it is our child: until it was waited for nobody else can have its pid.
end_process() { # PID
	[ -n "${processes[$1]:-}" ] || return 0
	unset "processes[$1]"
	kill -TERM "$1" 2>/dev/null
	wait "$1"
}

# ---- timing ---------------------------------------------------------------------------------------------------------

now_ms() { date +%s%3N; }

seconds_since() { # of now_ms
	local ms=$(($(now_ms) - $1))
	printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

timed() {
	local label=$1 from log code=0
	shift
	work_dir
	log=$work/${label//[^a-z0-9]/_}.log
	from=$(now_ms)
	printf '%-44s' "$label"
	"$@" >"$log" 2>&1 </dev/null || code=$?
	printf '%8s s%s\n' "$(seconds_since "$from")" "$([ $code = 0 ] || echo '  FAILED')"
	[ $code = 0 ] || tail -n 60 "$log"
	return $code
}
