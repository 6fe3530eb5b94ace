# SPDX-License-Identifier: BSD-2-Clause
# cache: a cache device that has become smaller, and dirty blocks
@D0 1MiB zero
@D1 2MiB zero
@D2 8MiB byte=0x5a
$ dmsetup create f --table '0 4096 linear @D1 0'
= 0
$ dmsetup create c --table '0 16384 cache @D0 /dev/mapper/f @D2 64 1 writeback smq 2 migration_threshold 0'
= 0
& write c 0 64 0x11
= 0
& write c 64 64 0x12
= 0
& write c 16320 64 0x13
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 16384 cache 8 64 3/64 0 3 3 1 writeback 2 migration_threshold 0 smq 0 rw - 
= 0
$ dmsetup load c --table '0 8192 cache @D0 /dev/mapper/f @D2 64 1 writeback smq 2 migration_threshold 0'
= 0
$ dmsetup suspend c
= 0
$ dmsetup resume c
! device-mapper: resume ioctl on c  failed: File too large
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: unable to shrink origin; cache block 2 is dirty
~ device-mapper: cache metadata: policy couldn't load cache block 2
~ device-mapper: cache: @MAJ:@MIN: could not load cache mappings
~ device-mapper: table: @MAJ:@MIN: cache: preresume failed, error = -27
= 1
$ dmsetup info -c --noheadings -o name,attr c
| c:L-sw
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 2/64 0 0 2 1 writeback 2 migration_threshold 0 smq 0 rw - 
= 0
$ dmsetup resume c
! device-mapper: resume ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: unable to resume cache due to missing proper cache table reload
~ device-mapper: table: @MAJ:@MIN: cache: preresume failed, error = -22
= 1
$ dmsetup remove c
= 0
& tool cache_check D0
| exit 0
= 0
& tool cache_dump D0
| superblock block_size=64 nr_cache_blocks=64 policy=smq
| cached origin_block=0 dirty=true
| cached origin_block=1 dirty=true
| cached origin_block=255 dirty=true
| exit 0
= 0
$ dmsetup load f --table '0 64 linear @D1 0'
= 0
$ dmsetup suspend f
= 0
$ dmsetup resume f
= 0
$ dmsetup create c --table '0 16384 cache @D0 /dev/mapper/f @D2 64 1 writeback smq 2 migration_threshold 0'
! device-mapper: resume ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache metadata: cache block 1 is dirty
~ device-mapper: cache metadata: unable to shrink cache due to dirty blocks
~ device-mapper: cache: @MAJ:@MIN: could not resize cache metadata
~ device-mapper: cache: @MAJ:@MIN: metadata operation 'dm_cache_resize' failed: error = -22
~ device-mapper: cache: @MAJ:@MIN: aborting current metadata transaction
~ device-mapper: cache: @MAJ:@MIN: switching cache to read-only mode
~ device-mapper: table: @MAJ:@MIN: cache: preresume failed, error = -22
= 1
$ dmsetup load f --table '0 4096 linear @D1 0'
= 0
$ dmsetup suspend f
= 0
$ dmsetup resume f
= 0
$ dmsetup create c --table '0 16384 cache @D0 /dev/mapper/f @D2 64 1 writeback smq 2 migration_threshold 0'
! device-mapper: reload ioctl on c (@MAJ:@MIN) failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: unable to switch cache to write mode until repaired.
~ device-mapper: cache: @MAJ:@MIN: switching cache to read-only mode
~ device-mapper: table: @MAJ:@MIN: cache: Unable to get write access to metadata, please check/repair metadata. (-EINVAL)
= 1
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
! Device does not exist.
! Command failed.
= 0
$ dmsetup remove c
! device-mapper: remove ioctl on c  failed: No such device or address
! Command failed.
= 1
$ dmsetup remove f
= 0
& tool cache_check D0
| exit 0
= 0
