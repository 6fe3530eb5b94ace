# SPDX-License-Identifier: BSD-2-Clause
# cache: the three modes, messages in all states, the cleaner, sizes
@D0 1MiB zero
@D1 1MiB zero
@D2 4MiB byte=0x5a
$ dmsetup create c --table '0 8192 cache @D0 @D1 @D2 64 1 writeback smq 0'
= 0
$ dmsetup status c
| 0 8192 cache 8 7/256 64 0/32 0 0 0 0 0 0 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
& write c 0 64 0x11
= 0
& until c  0 1 writeback
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 1/32 0 1 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
& write c 64 64 0x12
= 0
& write c 128 64 0x13
= 0
& write c 8000 64 0x14
= 0
& until c  0 1 writeback
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 4/32 0 4 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
& read c 0 8
| all 0x11
= 0
& read c 4096 8
| all 0x5a
= 0
& write c 72 8 0x15
= 0
& until c  0 1 writeback
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 4/32 0 4 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
& discard c 128 64
= 0
& discard c 1024 640
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 4/32 0 4 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
& write c 1024 8 0x17
= 0
& flush c
= 0
& until c  0 1 writeback
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 5/32 0 5 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
& event c
| 4
= 0
$ dmsetup message c 0 invalidate_cblocks 0
! device-mapper: message ioctl on c  failed: Operation not permitted
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: cache has to be in passthrough mode for invalidation
= 1
$ dmsetup message c 0 migration_threshold 100 200
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
= 1
$ dmsetup message c 0 migration_threshold 100
= 0
$ dmsetup message c 0 sequential_threshold 1
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: bad config value for sequential_threshold: 1
= 1
$ dmsetup message c 0 bogus 1
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: bad config value for bogus: 1
= 1
$ dmsetup suspend c
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 5/32 0 5 0 1 writeback 2 migration_threshold 100 smq 0 rw - 
= 0
$ dmsetup message c 0 migration_threshold 200
= 0
$ dmsetup message c 0 migration_threshold
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
= 1
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 5/32 0 5 0 1 writeback 2 migration_threshold 200 smq 0 rw - 
= 0
$ dmsetup resume c
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 5/32 0 5 0 1 writeback 2 migration_threshold 200 smq 0 rw - 
= 0
& read c 0 8192
| sha256 9b124ab7969ec03729b4d42f50fc0d24f05d14dd7974615178d6e0ca3ce7344b
= 0
$ dmsetup remove c
= 0
& tool cache_check D0
| exit 0
= 0
& tool cache_dump D0
| superblock block_size=64 nr_cache_blocks=32 policy=smq
| cached origin_block=0 dirty=false
| cached origin_block=1 dirty=false
| cached origin_block=2 dirty=false
| cached origin_block=16 dirty=false
| cached origin_block=64 dirty=false
| cached origin_block=125 dirty=false
| exit 0
= 0
$ dmsetup create c --table '0 8192 cache @D0 @D1 @D2 64 1 passthrough smq 0'
= 0
$ dmsetup create c --table '0 8192 cache @D0 @D1 @D2 64 1 writethrough smq 0'
! device-mapper: create ioctl on c  failed: Device or resource busy
! Command failed.
= 1
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 6/32 0 0 0 1 passthrough 2 migration_threshold 2048 smq 0 rw - 
= 0
& read c 0 8192
| sha256 0e14c469c1cf8b9ff5e0f0eada75c40bbd1dbaf7a2640cc55109db4d92b1143b
= 0
$ dmsetup remove c
= 0
$ dmsetup create c --table '0 8192 cache @D0 @D1 @D2 64 1 writeback cleaner 0'
= 0
& until c  0 1 writeback
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,14-
| 0 8192 cache 8 64 0 1 writeback 2 migration_threshold 2048 cleaner 0 rw - 
= 0
& write c 0 64 0x21
= 0
& write c 64 8 0x22
= 0
& until c  0 1 writeback
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,14-
| 0 8192 cache 8 64 0 1 writeback 2 migration_threshold 2048 cleaner 0 rw - 
= 0
& read c 0 8192
| sha256 95664730cecc906ffd787ee174adabe064afd244ca0dc8d0d4386f172f2623ae
= 0
$ dmsetup remove c
= 0
& tool cache_check D0
| exit 0
= 0
& tool cache_dump D0
| superblock block_size=64 nr_cache_blocks=32 policy=cleaner
| cached origin_block=0 dirty=false
| cached origin_block=1 dirty=false
| cached origin_block=2 dirty=false
| cached origin_block=16 dirty=false
| cached origin_block=64 dirty=false
| cached origin_block=125 dirty=false
| exit 0
= 0
$ dmsetup create c --table '0 8192 cache @D0 @D1 @D2 64 1 passthrough smq 0'
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 6/32 0 0 0 1 passthrough 2 migration_threshold 2048 smq 0 rw - 
= 0
& read c 0 8
| all 0x21
= 0
& read c 4096 8
| all 0x5a
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 6/32 0 0 0 1 passthrough 2 migration_threshold 2048 smq 0 rw - 
= 0
& write c 0 8 0x23
= 0
& write c 4096 8 0x24
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 4/32 2 0 0 1 passthrough 2 migration_threshold 2048 smq 0 rw - 
= 0
$ dmsetup message c 0 invalidate_cblocks
= 0
$ dmsetup message c 0 invalidate_cblocks x
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: invalid cblock range 'x'
= 1
$ dmsetup message c 0 invalidate_cblocks 32
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: begin cblock out of range: 32 >= 32
= 1
$ dmsetup message c 0 invalidate_cblocks 0-33
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: end cblock out of range: 33 > 32
= 1
$ dmsetup message c 0 invalidate_cblocks 3-3
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: invalid cblock range: 3 >= 3
= 1
$ dmsetup message c 0 invalidate_cblocks 3-2
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: invalid cblock range: 3 >= 2
= 1
$ dmsetup message c 0 invalidate_cblocks 0-
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: invalid cblock range '0-'
= 1
$ dmsetup message c 0 invalidate_cblocks -3
! dmsetup: invalid option -- '3'
! Couldn't process command line.
= 1
$ dmsetup message c 0 invalidate_cblocks 1-2-3
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: invalid cblock range '1-2-3'
= 1
$ dmsetup message c 0 invalidate_cblocks 31-32 0 x
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: cache: @MAJ:@MIN: invalid cblock range 'x'
= 1
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 4/32 2 0 0 1 passthrough 2 migration_threshold 2048 smq 0 rw - 
= 0
$ dmsetup message c 0 INVALIDATE_CBLOCKS 0-32
= 0
$ dmsetup status c | cut -d' ' -f1-4,6,7,12-
| 0 8192 cache 8 64 0/32 2 0 0 1 passthrough 2 migration_threshold 2048 smq 0 rw - 
= 0
& discard c 0 64
= 0
& flush c
= 0
& read c 0 8192
| sha256 95aded974aa5d88df7425152a596545a77246a53c876596e3fab3995c90b0776
= 0
$ dmsetup remove c
= 0
& tool cache_check D0
| exit 0
= 0
& tool cache_dump D0
| superblock block_size=64 nr_cache_blocks=32 policy=smq
| exit 0
= 0
& cut D2 0 4194304
| sha256 95aded974aa5d88df7425152a596545a77246a53c876596e3fab3995c90b0776
= 0
