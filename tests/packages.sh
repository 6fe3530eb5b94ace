#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The Debian packages: built by contrib/make-deb with lintian's blessing, installed on a copy of
# this machine's root (an overlay, thrown away) in which systemd runs as process 1, with the units
# really started, activated by their sockets, reloaded, killed and stopped; then purged, and nothing
# of them left.
#
# It takes minutes and root, so that only `make check-packages` runs it; DEBS=FOLDER takes packages
# that are built already.
. "$(dirname "$0")/interop/functions.sh"
requires_root
requires_program dpkg-buildpackage dh lintian unshare nbdinfo nbdsh
[ -x /lib/systemd/systemd ] || skip "needs systemd (contrib/install-packages)"
unshare -m -p -f -u -i -C true 2> unshare.err || skip "needs namespaces: $(cat unshare.err)"
mkdir root
unshare -m bash -c "mount -t tmpfs none '$T/root' && mkdir '$T/root/'{u,w,m} &&
	mount -t overlay none -o 'lowerdir=/,upperdir=$T/root/u,workdir=$T/root/w' '$T/root/m'" 2> overlay.err ||
	skip "needs overlayfs: $(cat overlay.err)"
dpkg-query -W -f '${db:Status-Status}' ndmd 2> query.err | grep -q installed && skip "ndmd is installed here"

if [ -z "${DEBS:-}" ]; then
	say "make-deb"
	DEBS=$T/debs
	"$top_srcdir/contrib/make-deb" "$DEBS" > make-deb.out 2>&1 || { tail -n 40 make-deb.out; fail "make-deb"; }
	! grep '^E:' make-deb.out || fail "lintian has found errors"
fi
mkdir out packages
cp "$DEBS"/*.deb packages
rm -f packages/*-dbgsym_*
[ "$(find packages -name '*.deb' | wc -l)" = 5 ] || fail "packages: $(ls packages)"

# ---- what runs below systemd

cat > out/inside.sh <<'SH'
set -eu
exec > /tmp/out/log 2>&1
step() { echo "== $*" | tee -a /tmp/out/steps; }
fail() { echo "FAILED: $*"; systemctl status 'ndmd*' --no-pager -l || :; journalctl -b --no-pager -n 30 || :; exit 1; }
until_true() { local i; for i in $(seq 300); do ! "$@" > /tmp/until 2>&1 || return 0; sleep 0.1; done; fail "waited in vain: $*"; }
size() { nbdinfo --size "nbd+unix:///$1?socket=$2"; }
is() { [ "$1" = "$2" ] || fail "'$1', not '$2'"; }
ours() { find /etc /usr /var /run \( -name '*ndm*' -o -name '*NDM*' \) ! -path '*/systemd/system/ndm-test.service' ! -path '/usr/src/*' ! -path '/run/systemd/*' ! -path '/var/log/*' 2> /tmp/find | sort; }
ours > /tmp/before
step install
dpkg -i /tmp/packages/*.deb
id ndm
is "$(systemctl is-enabled ndmd.service || :)" disabled
is "$(systemctl is-active ndmd.service || :)" inactive
command -v ndmsetup ndm ndmd > /tmp/programs
install -d -o ndm -g ndm /var/lib/ndm
truncate -s 8M /var/lib/ndm/a.img
chown ndm:ndm /var/lib/ndm/a.img
cat > /etc/ndm/ndm.yaml <<YAML
version: 1
volumes:
  v: {linear: {length: 8M, device: /var/lib/ndm/a.img}}
YAML
step start
systemctl start ndmd.socket
systemctl start ndmd.service
is "$(systemctl is-active ndmd.service)" active
pid=$(systemctl show -P MainPID ndmd.service)
is "$(stat -c %U "/proc/$pid")" ndm
grep -q '^NoNewPrivs:[^1]*1' "/proc/$pid/status"
is "$(sed -n 's/^CapEff:\t//p' "/proc/$pid/status")" 0000000000000000
systemctl show -P StatusText ndmd.service
is "$(size v /run/ndm/nbd.sock)" 8388608
nbdsh -u 'nbd+unix:///v?socket=/run/ndm/nbd.sock' -c 'h.pwrite(b"x" * 4096, 0)' -c 'h.flush()'
is "$(head -c 3 /var/lib/ndm/a.img)" xxx
is "$(NDM_CONTROL=/run/ndm/control ndmsetup ls | cut -f1)" v
step reload
echo '  w: {zero: {length: 1M}}' >> /etc/ndm/ndm.yaml
systemctl reload ndmd.service
until_true size w /run/ndm/nbd.sock
is "$(systemctl show -P MainPID ndmd.service)" "$pid"
step kill
kill -KILL "$pid"
again() { [ "$(systemctl show -P MainPID ndmd.service)" != "$pid" ] && size v /run/ndm/nbd.sock; }
until_true again
step stop
systemctl stop ndmd.service
is "$(systemctl show -P Result ndmd.service)" success
step "activation by the socket"
is "$(size v /run/ndm/nbd.sock)" 8388608
is "$(systemctl is-active ndmd.service)" active
step "a file that is wrong"
cp /etc/ndm/ndm.yaml /tmp/good.yaml
echo 'nonsense: 1' >> /etc/ndm/ndm.yaml
systemctl stop ndmd.socket ndmd.service
! systemctl start ndmd.service || fail "it has started with a wrong file"
cp /tmp/good.yaml /etc/ndm/ndm.yaml
systemctl stop ndmd.service		# systemd would have tried again
systemctl reset-failed ndmd.service || :
step template
cat > /etc/ndm/two.yaml <<YAML
version: 1
volumes: {t: {zero: {length: 4M}}}
YAML
systemctl start ndmd@two.socket
is "$(size t /run/ndm-two/nbd.sock)" 4194304
is "$(systemctl is-active ndmd@two.service)" active
systemctl stop ndmd@two.socket ndmd@two.service
is "$(systemctl show -P Result ndmd@two.service)" success
step purge
systemctl start ndmd.socket ndmd@two.service	# to be stopped by the package
rm -r /etc/ndm/*.yaml /var/lib/ndm
dpkg --purge ndmd nbdkit-plugin-ndm ndm-tools libndm-dev libndm0
systemctl daemon-reload
! pidof ndmd || fail "ndmd still runs"
is "$(systemctl list-unit-files 'ndmd*' --no-legend --no-pager)" ""
ours > /tmp/after
# a user stays, as Debian wants it: its files may; what is in memory goes with the machine
diff /tmp/before <(grep -vE '^/run/ndm(-two)?(/|$)' /tmp/after) || fail "something is left"
step done
SH

cat > boot.sh <<SH
set -e
cd '$T'
mount -t tmpfs none root
mkdir root/u root/w root/m
mount -t overlay none -o lowerdir=/,upperdir=root/u,workdir=root/w root/m
n='$T/root/m'
mount -t proc proc "\$n/proc"
mount --rbind /sys "\$n/sys"
mount -t cgroup2 none "\$n/sys/fs/cgroup"
for d in run tmp dev; do mount -t tmpfs none "\$n/\$d"; done
for d in null zero full random urandom tty; do touch "\$n/dev/\$d"; mount --bind /dev/\$d "\$n/dev/\$d"; done
mkdir "\$n/dev/pts" "\$n/dev/shm" "\$n/tmp/out" "\$n/tmp/packages"
ln -s /proc/self/fd "\$n/dev/fd"
mount --bind out "\$n/tmp/out"
mount --bind packages "\$n/tmp/packages"
: > "\$n/etc/machine-id"
mkdir -p "\$n/etc/systemd/system"
# nothing of the machine around is to be touched: no devices, modules, sysctls
rm -rf "\$n"/lib/systemd/system/sysinit.target.wants "\$n"/etc/systemd/system/*.wants
mount -o remount,bind,ro "\$n/sys"
rm -f "\$n/usr/sbin/policy-rc.d"	# images of containers forbid starting and stopping
mount --bind "\$n/proc/sys" "\$n/proc/sys"
mount -o remount,bind,ro "\$n/proc/sys"
cat > "\$n/etc/systemd/system/ndm-test.service" <<U
[Unit]
SuccessAction=exit-force
FailureAction=exit-force
Wants=systemd-journald.service
After=systemd-journald.service
[Service]
Type=oneshot
Environment=PATH=/usr/bin:/usr/sbin:/bin:/sbin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive
ExecStart=/bin/bash /tmp/out/inside.sh
U
cd "\$n"
exec env -i container=other PATH=/usr/bin:/usr/sbin:/bin:/sbin chroot . /lib/systemd/systemd --system \
	--unit=ndm-test.service --log-level=warning --log-target=console
SH

# process 1 of a namespace does not mind TERM: KILL of unshare's child is what ends it
unshare -m -p -f -u -i -n -C --kill-child=KILL bash boot.sh > boot.out 2>&1 < /dev/null &
booted=$!
started+=("$booted")
for ((i = 0; i < 3000; i++)); do
	! ended "$booted" || break
	sleep 0.1
done
ended "$booted" || { kill -KILL "$booted"; tail -n 20 boot.out out/log; fail "systemd still runs after five minutes"; }
touch out/steps
while read -r line; do say "${line#== }"; done < out/steps
grep -qx '== done' out/steps || { tail -n 20 boot.out; tail -n 80 out/log; fail "not all of it was done"; }
