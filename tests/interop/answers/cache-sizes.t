# SPDX-License-Identifier: BSD-2-Clause
# cache: devices that grow and shrink, read-only, other tables over the same metadata
@D0 1MiB zero
@D1 2MiB zero
@D2 8MiB byte=0x5a
@D3 1MiB zero
$ dmsetup create f --table '0 2048 linear @D1 0'
= 0
$ dmsetup create c --table '0 8192 cache @D0 /dev/mapper/f @D2 64 1 writeback smq 0'
= 0
& write c 0 64 0x11
= 0
& write c 8000 64 0x12
= 0
& until c  0 1 writeback
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 2/32 0 2 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
$ dmsetup load c --table '0 16384 cache @D0 /dev/mapper/f @D2 64 1 writeback smq 0'
= 0
$ dmsetup suspend c
= 0
$ dmsetup resume c
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 16384 cache 8 64 2/32 0 0 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
& read c 0 16384
| sha256 5b7944fcef2ed221f741ee7aa89566db3324b1e3ec3e3085b740824cb31de809
= 0
& write c 16320 64 0x13
= 0
& until c  0 1 writeback
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 16384 cache 8 64 3/32 0 1 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
$ dmsetup load f --table '0 4096 linear @D1 0'
= 0
$ dmsetup suspend f
= 0
$ dmsetup resume f
= 0
$ dmsetup suspend c
= 0
$ dmsetup resume c
! device-mapper: resume ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: unable to extend cache due to missing cache table reload
~ device-mapper: table: @MAJ:@MIN: cache: preresume failed, error = -22
= 1
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 16384 cache 8 64 3/32 0 1 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
$ dmsetup load c --table '0 16384 cache @D0 /dev/mapper/f @D2 64 1 writeback smq 0'
= 0
$ dmsetup suspend c
= 0
$ dmsetup resume c
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 16384 cache 8 64 3/64 0 0 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
& read c 0 16384
| sha256 7018074cdcc79a03d66c94ba0cd3cffc31ef23c6f1d384cddaba0c716dd349af
= 0
$ dmsetup message c 0 migration_threshold 0
= 0
& write c 16320 8 0x14
= 0
$ dmsetup load c --table '0 8192 cache @D0 /dev/mapper/f @D2 64 1 writeback smq 0'
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
$ dmsetup clear c
= 0
$ dmsetup resume c
! device-mapper: resume ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: unable to resume cache due to missing proper cache table reload
~ device-mapper: table: @MAJ:@MIN: cache: preresume failed, error = -22
= 1
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 2/64 0 0 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
$ dmsetup remove c
= 0
& tool cache_check D0
| exit 0
= 0
& tool cache_dump D0
| superblock block_size=64 nr_cache_blocks=64 policy=smq
| cached origin_block=0 dirty=false
| cached origin_block=125 dirty=false
| cached origin_block=255 dirty=true
| exit 0
= 0
$ dmsetup create c --table '0 16384 cache @D0 /dev/mapper/f @D2 64 1 writeback cleaner 0'
= 0
& until c  0 1 writeback
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 16384 cache 8 64 3/64 0 0 0 1 writeback 2 migration_threshold 2048 cleaner 0 rw - 
= 0
& read c 0 16384
| sha256 8ae32c2dec95c54543dae7407ab3acc670e5b418788484004b27a28c8c4c9b55
= 0
$ dmsetup remove c
= 0
& tool cache_dump D0
| superblock block_size=64 nr_cache_blocks=64 policy=cleaner
| cached origin_block=0 dirty=false
| cached origin_block=125 dirty=false
| cached origin_block=255 dirty=false
| exit 0
= 0
$ dmsetup load f --table '0 64 linear @D1 0'
= 0
$ dmsetup suspend f
= 0
$ dmsetup resume f
= 0
$ dmsetup create c --table '0 16384 cache @D0 /dev/mapper/f @D2 64 1 writeback smq 0'
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 16384 cache 8 64 1/1 0 0 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
& read c 0 16384
| sha256 8ae32c2dec95c54543dae7407ab3acc670e5b418788484004b27a28c8c4c9b55
= 0
$ dmsetup remove c
= 0
& tool cache_check D0
| exit 0
= 0
& tool cache_dump D0
| superblock block_size=64 nr_cache_blocks=1 policy=smq
| cached origin_block=0 dirty=false
| exit 0
= 0
$ dmsetup create c --table '0 8192 cache @D0 /dev/mapper/f @D2 64 1 writeback smq 0'
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 1/1 0 0 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
$ dmsetup remove c
= 0
& tool cache_dump D0
| superblock block_size=64 nr_cache_blocks=1 policy=smq
| cached origin_block=0 dirty=false
| exit 0
= 0
$ dmsetup create c --readonly --table '0 8192 cache @D0 /dev/mapper/f @D2 64 1 writeback smq 0'
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 1/1 0 0 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
& read c 0 64
| all 0x11
= 0
$ dmsetup message c 0 migration_threshold 1
= 0
$ dmsetup remove c
= 0
$ dmsetup remove f
= 0
