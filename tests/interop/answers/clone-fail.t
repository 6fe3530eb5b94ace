# SPDX-License-Identifier: BSD-2-Clause
# clone: devices that fail
@D0 1MiB zero
@D1 4MiB zero
@D2 4MiB counter
@D3 1MiB zero
$ dmsetup create m --table '0 2048 linear @D0 0'
= 0
$ dmsetup create d --table '0 8192 linear @D1 0'
= 0
$ printf '0 4096 linear @D2 0\n4096 4096 error\n' | dmsetup create s
= 0
$ dmsetup create c --table '0 8192 clone /dev/mapper/m /dev/mapper/d /dev/mapper/s 64'
~ device-mapper: clone: @MAJ:@MIN: hydration failed
= 0
& until c 64/128
= 0
& sleep 1
$ dmsetup status c | sed 's/ [0-9]*$//; s#/128 [0-9]* #/128 N #'
| 0 8192 clone 8 6/256 64 64/128 N 0 4 hydration_threshold 1 hydration_batch_size 1 rw
~ device-mapper: clone: @MAJ:@MIN: hydration failed
= 0
& read c 4096 8
~ device-mapper: clone: @MAJ:@MIN: hydration failed
= EIO
& write c 4096 8 0x22
= EIO
& write c 4160 64 0x23
= 0
$ dmsetup message c 0 disable_hydration
~ device-mapper: clone: @MAJ:@MIN: hydration failed
= 0
$ dmsetup status c | sed 's#/128 [0-9]* #/128 N #'
| 0 8192 clone 8 6/256 64 65/128 N 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
& write c 0 8 0x24
= 0
& flush c
= 0
$ dmsetup load m --table '0 2048 error'
= 0
$ dmsetup suspend --noflush m
= 0
$ dmsetup resume m
= 0
& write c 4224 64 0x25
~ device-mapper: clone metadata: dm_tm_pre_commit failed
~ device-mapper: clone: @MAJ:@MIN: Metadata operation `dm_clone_metadata_commit' failed: error = -5
~ device-mapper: clone: @MAJ:@MIN: Aborting current metadata transaction
~ device-mapper: clone metadata: Failed to read_lock superblock
~ device-mapper: clone: @MAJ:@MIN: Failed to abort metadata transaction
~ device-mapper: clone: @MAJ:@MIN: Switching to fail mode
= 0
& flush c
= EIO
$ dmsetup status c | cut -d' ' -f1-4,6-
| 0 8192 clone Fail
= 0
& write c 4288 64 0x26
= EIO
& write c 0 8 0x27
= EIO
& read c 0 8
= EIO
& flush c
= EIO
$ dmsetup message c 0 hydration_threshold 4
= 0
$ dmsetup status c | cut -d' ' -f1-4,6-
| 0 8192 clone Fail
= 0
$ dmsetup suspend c
= 0
$ dmsetup resume c
= 0
$ dmsetup status c | cut -d' ' -f1-4,6-
| 0 8192 clone Fail
= 0
$ dmsetup remove c
= 0
$ dmsetup load m --table '0 2048 linear @D0 0'
= 0
$ dmsetup suspend m
= 0
$ dmsetup resume m
= 0
$ dmsetup create c --table '0 8192 clone /dev/mapper/m /dev/mapper/d /dev/mapper/s 64 1 no_hydration'
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 65/128 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
$ dmsetup remove c
= 0
$ dmsetup remove m
= 0
$ dmsetup remove d
= 0
$ dmsetup remove s
= 0
