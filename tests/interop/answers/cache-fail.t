# SPDX-License-Identifier: BSD-2-Clause
# cache: metadata that fail, needs_check
@D0 1MiB zero
@D1 1MiB zero
@D2 4MiB byte=0x5a
$ dmsetup create m --table '0 2048 linear @D0 0'
= 0
$ dmsetup create c --table '0 8192 cache /dev/mapper/m @D1 @D2 64 1 writeback smq 0'
= 0
& write c 0 64 0x11
= 0
& until c  0 1 writeback
= 0
& flush c
= 0
& event c
| 1
= 0
$ dmsetup message c 0 migration_threshold 0
= 0
$ dmsetup load m --table '0 2048 error'
= 0
$ dmsetup suspend --noflush m
= 0
$ dmsetup resume m
= 0
& write c 64 64 0x12
= 0
& flush c
~ device-mapper: cache: @MAJ:@MIN: metadata operation 'dm_cache_commit' failed: error = -5
~ device-mapper: cache: @MAJ:@MIN: aborting current metadata transaction
~ device-mapper: cache: @MAJ:@MIN: failed to abort metadata transaction
~ device-mapper: cache: @MAJ:@MIN: unable to read needs_check flag, setting failure mode.
~ device-mapper: cache: @MAJ:@MIN: switching cache to fail mode
~ device-mapper: cache: @MAJ:@MIN: failed to set 'needs_check' flag in metadata
~ device-mapper: cache: @MAJ:@MIN: unable to read needs_check flag, setting failure mode.
= EIO
$ dmsetup status c | cut -d' ' -f1-4
| 0 8192 cache Fail
= 0
& event c
| 1
= 0
& write c 4096 8 0x12
= 0
& read c 0 8
| all 0x11
= 0
& read c 4096 8
| all 0x12
~ device-mapper: cache: @MAJ:@MIN: migration failed; couldn't insert mapping
~ device-mapper: cache: @MAJ:@MIN: metadata operation 'dm_cache_insert_mapping' failed: error = -22
~ device-mapper: cache: @MAJ:@MIN: unable to read needs_check flag, setting failure mode.
= 0
& write c 0 8 0x13
= 0
$ dmsetup message c 0 migration_threshold 1
! device-mapper: message ioctl on c  failed: Operation not supported
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: unable to service cache target messages in READ_ONLY or FAIL mode
= 1
$ dmsetup table c
| 0 8192 cache @DM{m} @D1 @D2 64 1 writeback smq 0
= 0
$ dmsetup suspend c
= 0
$ dmsetup status c | cut -d' ' -f1-4
| 0 8192 cache Fail
= 0
$ dmsetup load m --table '0 2048 linear @D0 0'
= 0
$ dmsetup suspend --noflush m
= 0
$ dmsetup resume m
= 0
$ dmsetup resume c
= 0
$ dmsetup status c | cut -d' ' -f1-4
| 0 8192 cache Fail
= 0
$ dmsetup remove c
= 0
$ dmsetup create c --table '0 8192 cache /dev/mapper/m @D1 @D2 64 1 writeback smq 0'
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7
| 0 8192 cache 8 64 1/32
= 0
& read c 0 8
| all 0x13
= 0
& read c 8 56
| all 0x11
= 0
& read c 64 64
| all 0x5a
= 0
& read c 4096 8
| all 0x12
= 0
& read c 4104 88
| all 0x5a
= 0
$ dmsetup remove c
= 0
& tool cache_check D0
| exit 0
= 0
$ dmsetup remove m
= 0
