# SPDX-License-Identifier: BSD-2-Clause
# Programs that know only the kernel's device-mapper, unmodified, on ndmd through the preload
# library: each part runs where its program is installed.

. "$top_srcdir/tests/client/functions.sh"

preload=$top_builddir/contrib/preload/.libs/libndm-preload.so
[ -e "$preload" ] || skip "no preload library (static build)"
PATH=$PATH:/usr/sbin:/sbin
command -v dmsetup > /dev/null || command -v cryptsetup > /dev/null || skip "no program to be tried"

cd "$tmp"
export NDM_CONTROL=$tmp/control DM_DISABLE_UDEV=1 LC_ALL=C
"$top_builddir/server/ndmd" --foreground --control "$tmp/control" --listen "unix:$tmp/nbd.sock" 2> log &
server=$!
until "$ndmsetup" version > /dev/null 2>&1; do
	kill -0 "$server" || fail "ndmd ended: $(cat log)"
	sleep 0.01
done

# run COMMAND...: by the library, and it must succeed
run() {
	LD_PRELOAD=$preload "$@" > out 2>&1 || fail "$* ($(cat out log))"
}

has() {
	command -v "$1" > /dev/null || {
		echo "no $1: its part is left out"
		return 1
	}
}

# Has ndmd that target?
maps() {
	"$ndmsetup" target-version "$1" > /dev/null 2>&1
}

truncate -s 32M disk
truncate -s 8M small
"$ndmsetup" create disk --table "0 65536 linear $tmp/disk 0"
"$ndmsetup" create small --table "0 16384 linear $tmp/small 0"
printf secret > key
head -c 300000 /dev/urandom > random

# Nodes carry data, for programs that move descriptors about, too
run dd if=random of=/dev/mapper/small bs=64k conv=notrunc,fsync
cmp -n 300000 random small
run dd if=/dev/mapper/small of=copy bs=4k count=74 iflag=fullblock
cmp -n 300000 random copy

if has cryptsetup; then
	for type in "luks1 --pbkdf-force-iterations 1000" \
		"luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000" \
		"luks2 --pbkdf argon2id --pbkdf-memory 32 --pbkdf-parallel 1 --pbkdf-force-iterations 4"; do
		run cryptsetup luksFormat -q --type $type /dev/mapper/disk key
		run cryptsetup luksOpen --key-file key /dev/mapper/disk secret
		run cryptsetup status secret
		run dd if=random of=/dev/mapper/secret bs=4k conv=notrunc,fsync
		run cryptsetup luksSuspend secret
		run cryptsetup luksResume --key-file key secret
		run cryptsetup close secret
		run cryptsetup luksOpen --key-file key /dev/mapper/disk secret
		run dd if=/dev/mapper/secret of=copy bs=4k count=74 iflag=fullblock
		cmp -n 300000 random copy || fail "cryptsetup $type: other data"
		run cryptsetup close secret
	done
	if grep -q "$(head -c 64 random | od -An -tx1 | head -1)" <(od -An -tx1 disk); then
		fail "the plain text is on the disk"
	fi
	run cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 256 \
		--key-file random --keyfile-size 32 /dev/mapper/disk plain
	run cryptsetup close plain
fi

if has veritysetup; then
	run veritysetup format --root-hash-file=root /dev/mapper/disk /dev/mapper/small
	run veritysetup verify --root-hash-file=root /dev/mapper/disk /dev/mapper/small
	if maps verity; then
		run veritysetup open --root-hash-file=root /dev/mapper/disk whole /dev/mapper/small
		run veritysetup status whole
		run veritysetup close whole
	fi
fi

if has integritysetup && maps integrity; then
	run integritysetup format -q /dev/mapper/small
	run integritysetup open /dev/mapper/small sure
	run integritysetup status sure
	run integritysetup close sure
fi

if has mkfs.ext4; then
	run mkfs.ext4 -q -F /dev/mapper/disk
	run e2fsck -fn /dev/mapper/disk
	e2fsck -fn disk > /dev/null 2>&1 || fail "no file system on the disk itself"
fi

# Only the maps: for paths it asks udev.  It insists on root.
if [ "$(id -u)" = 0 ] && has multipath; then
	"$ndmsetup" create twoways -u mpath-twoways --table \
		'0 16384 multipath 0 0 1 1 service-time 0 2 1 /dev/mapper/small 1 /dev/mapper/disk 1'
	run multipath -ll
	grep -q '^twoways dm-' out || fail "multipath -ll does not list the map: $(cat out)"
	grep -q '^size=8.0M' out || fail "multipath -ll has another size: $(cat out)"
	"$ndmsetup" remove twoways
fi

if has lvm; then
	mkdir lvm
	cat > lvm/lvm.conf <<-CONF
	devices { scan=["/dev/mapper"] use_devicesfile=0 obtain_device_list_from_udev=0 external_device_info_source="none" filter=["a|^/dev/mapper/disk\$|","a|^/dev/mapper/small\$|","r|.*|"] types=["device-mapper",16] }
	global { thin_check_executable="" use_aio=0 use_lvmpolld=0 locking_dir="$tmp/lvm" event_activation=0 }
	activation { udev_sync=0 udev_rules=0 verify_udev_operations=0 monitoring=0 }
	backup { backup=0 archive=0 }
	CONF
	export LVM_SYSTEM_DIR=$tmp/lvm LVM_SUPPRESS_FD_WARNINGS=1
	run lvm pvcreate -ff -y /dev/mapper/disk
	run lvm vgcreate vg /dev/mapper/disk
	run lvm lvcreate -n lv -L 8M -Zn -Wn vg
	[ "$("$ndmsetup" table vg-lv | cut -d' ' -f1-3)" = "0 16384 linear" ] || fail "lvcreate"
	run lvm lvextend -L +4M vg/lv
	[ "$("$ndmsetup" table vg-lv | cut -d' ' -f1-3)" = "0 24576 linear" ] || fail "lvextend"
	run lvm vgchange -an vg
	run lvm vgremove -ff vg

	# with what needs the new volume zeroed, for which lvm goes by /dev/VG/LV: root makes that link
	if [ "$(id -u)" = 0 ] && [ ! -e "/dev/ndm-test$$" ]; then
		vg=ndm-test$$
		dm=ndm--test$$
		trap 'rm -rf "/dev/ndm-test$$"; cleanup' EXIT
		run lvm pvcreate -ff -y /dev/mapper/small
		run lvm vgcreate -s 1M "$vg" /dev/mapper/disk /dev/mapper/small
		run lvm lvcreate -y -n lin -L 4M "$vg"
		run dd if=random of="/dev/$vg/lin" bs=4k conv=notrunc,fsync
		run lvm lvcreate -y -s -n snap -L 4M "$vg/lin"
		"$ndmsetup" table "$dm-lin" | grep -q snapshot-origin || fail "lvcreate -s"
		run dd if=/dev/zero of="/dev/$vg/lin" bs=4k count=10 conv=notrunc,fsync
		run lvm lvs -o data_percent --noheadings "$vg/snap"
		! grep -q '^ *0.00' out || fail "nothing was copied: $(cat out)"
		run lvm lvconvert -y --merge -i1 "$vg/snap"
		run dd if="/dev/$vg/lin" of=copy bs=4k count=74 iflag=fullblock
		cmp -n 300000 random copy || fail "lvconvert --merge: other data"
		[ "$("$ndmsetup" table "$dm-lin" | cut -d' ' -f3)" = linear ] || fail "the merge did not end"
		run lvm lvcreate -y --type striped -i1 -n str -L 4M "$vg"
		run lvm lvresize -y -L 8M "$vg/str"
		run lvm lvrename "$vg" str other
		run lvm lvremove -y "$vg/other"
		run lvm lvcreate -y --type mirror -m1 --mirrorlog core -n mir -L 4M "$vg"
		"$ndmsetup" table "$dm-mir" | grep -q ' mirror core ' || fail "lvcreate --type mirror"
		run lvm lvconvert -y -m0 "$vg/mir"
		[ "$("$ndmsetup" table "$dm-mir" | cut -d' ' -f3)" = linear ] || fail "lvconvert -m0"
		if maps thin-pool; then
			run lvm lvcreate -y --type thin-pool -L 4M -n pool "$vg"
			run lvm lvcreate -y -V 64M --thinpool pool -n thin "$vg"
			run dd if=random of="/dev/$vg/thin" bs=4k conv=notrunc,fsync
			run lvm lvcreate -y -s -n tsnap "$vg/thin"
			run dd if=/dev/zero of="/dev/$vg/thin" bs=4k count=10 conv=notrunc,fsync
			run lvm lvchange -ay -K "$vg/tsnap"
			run dd if="/dev/$vg/tsnap" of=copy bs=4k count=74 iflag=fullblock
			cmp -n 300000 random copy || fail "a thin snapshot: other data"
			run lvm lvremove -y "$vg/tsnap"
		fi
		if maps raid; then
			run lvm lvcreate -y --type raid1 -m1 -n twins -L 1M "$vg"
			[ "$("$ndmsetup" table "$dm-twins" | cut -d' ' -f3-4)" = "raid raid1" ] || fail "lvcreate --type raid1"
			run lvm lvremove -y "$vg/twins"
		fi
		run lvm vgchange -an "$vg"
		[ ! -e "/dev/$vg/lin" ] || fail "a link is left in /dev"
		run lvm vgremove -ff "$vg"
	fi
fi

# Partitions of a volume.  By number: kpartx opens /dev/block/MAJOR:MINOR.
if has kpartx; then
	python3 - <<-'PY'
	import struct
	mbr = bytearray(512)
	for i, (start, n) in enumerate(((2048, 20480), (22528, 40960))):
	    mbr[446 + 16 * i:462 + 16 * i] = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0x83, b"\xff\xff\xff", start, n)
	mbr[510:] = b"\x55\xaa"
	with open("disk", "r+b") as f:
	    f.write(mbr)
	PY
	run kpartx -l /dev/mapper/disk
	grep -qx 'disk1 : 0 20480 /dev/mapper/disk 2048' out || fail "kpartx -l: $(cat out)"
	run kpartx -a /dev/mapper/disk
	[ "$("$ndmsetup" table disk2 | cut -d' ' -f1-3)" = "0 40960 linear" ] || fail "kpartx -a"
	run kpartx -d /dev/mapper/disk
	! "$ndmsetup" info disk2 > out 2>&1 || fail "kpartx -d has left disk2"
fi

"$ndmsetup" remove_all
[ "$("$ndmsetup" ls)" = "No devices found" ] || fail "somebody still has a device open"
