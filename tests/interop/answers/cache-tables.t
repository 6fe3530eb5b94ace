# SPDX-License-Identifier: BSD-2-Clause
# cache: every way to say it wrong
@D0 1MiB zero
@D1 1MiB zero
@D2 4MiB byte=0x5a
@D3 1MiB byte=0xff
@D4 4KiB zero
@D5 1MiB zero
$ dmsetup create t --notable
= 0
$ dmsetup load t --table '0 8192 cache'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Insufficient args (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Insufficient args (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Insufficient args (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Insufficient args (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid number of cache feature arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Insufficient args (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 0 smq'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid number of policy arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache /dev/nosuch @D1 @D2 64 0 smq 0'
! device-mapper: reload ioctl on t  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Error opening metadata device (-ENOENT)
= 1
$ dmsetup load t --table '0 8192 cache @D0 /dev/nosuch @D2 64 0 smq 0'
! device-mapper: reload ioctl on t  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Error opening cache device (-ENOENT)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 /dev/nosuch 64 0 smq 0'
! device-mapper: reload ioctl on t  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Error opening origin device (-ENOENT)
= 1
$ dmsetup load t --table '0 8194 cache @D0 @D1 @D2 64 0 smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Device size larger than cached device (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 x 0 smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid data block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 0 0 smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid data block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 32 0 smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid data block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 96 0 smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid data block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 2097216 0 smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid data block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 2097152 0 smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Data block size is larger than the cache device (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 -64 0 smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid data block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 x smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid number of cache feature arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 4 writeback metadata2 no_discard_passdown writethrough smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid number of cache feature arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 2 writeback'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid number of cache feature arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 bogus smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Unrecognised cache feature requested (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 2 writeback writeback smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Duplicate cache io_mode features requested (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 2 passthrough writeback smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Duplicate cache io_mode features requested (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Insufficient args (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback smq x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid number of policy arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback smq 1025'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid number of policy arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback smq 2 migration_threshold'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: cache: Invalid number of policy arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback bogus 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: cache-policy: unknown policy type
~ device-mapper: table: @MAJ:@MIN: cache: Error creating cache's policy (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback smq 1 migration_threshold'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: cache: Odd number of policy arguments given but they should be <key> <value> pairs.
~ device-mapper: table: @MAJ:@MIN: cache: Error setting cache policy's config values (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback smq 2 migration_threshold x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: cache: bad config value for migration_threshold: x
~ device-mapper: table: @MAJ:@MIN: cache: Error setting cache policy's config values (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback smq 2 bogus 1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: cache: bad config value for bogus: 1
~ device-mapper: table: @MAJ:@MIN: cache: Error setting cache policy's config values (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback smq 2 random_threshold 1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: cache: bad config value for random_threshold: 1
~ device-mapper: table: @MAJ:@MIN: cache: Error setting cache policy's config values (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback cleaner 2 random_threshold 1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: cache: bad config value for random_threshold: 1
~ device-mapper: table: @MAJ:@MIN: cache: Error setting cache policy's config values (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback mq 2 bogus 1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: cache: bad config value for bogus: 1
~ device-mapper: table: @MAJ:@MIN: cache: Error setting cache policy's config values (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 writeback mq 2 random_threshold x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: cache: bad config value for random_threshold: x
~ device-mapper: table: @MAJ:@MIN: cache: Error setting cache policy's config values (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D3 @D1 @D2 64 1 writeback smq 0'
! device-mapper: reload ioctl on t  failed: Block device required
! Command failed.
~ device-mapper: cache metadata: sb_check failed: blocknr 18446744073709551615: wanted 0
~ device-mapper: block manager: superblock validator check failed for block 0
~ device-mapper: cache metadata: couldn't read lock superblock
~ device-mapper: table: @MAJ:@MIN: cache: Error creating metadata object (-ENOTBLK)
= 1
$ dmsetup load t --table '0 8192 cache @D4 @D1 @D2 64 1 writeback smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: space map common: metadata block out of bounds
~ device-mapper: space map common: dm_tm_shadow_block() failed
~ device-mapper: space map metadata: dm_sm_metadata_create: apply_bops failed
~ device-mapper: transaction manager: couldn't create metadata space map
~ device-mapper: cache metadata: tm_create_with_sm failed
~ device-mapper: table: @MAJ:@MIN: cache: Error creating metadata object (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 0 default 0'
= 0
$ dmsetup table --inactive t
| 0 8192 cache @D0 @D1 @D2 64 0 default 0
= 0
$ dmsetup status --inactive t
| 0 8192 cache 8 6/256 64 0/32 0 0 0 0 0 0 0 1 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 +64 1 WriteBack mq 4 sequential_threshold 4 MIGRATION_THRESHOLD 7 some more'
~ device-mapper: cache-policy-smq: tunable 'sequential_threshold' no longer has any effect, mq policy is now an alias for smq
= 0
$ dmsetup table --inactive t
| 0 8192 cache @D0 @D1 @D2 +64 1 WriteBack mq 4 sequential_threshold 4 MIGRATION_THRESHOLD 7 some more
= 0
$ dmsetup status --inactive t
| 0 8192 cache 8 6/256 64 0/32 0 0 0 0 0 0 0 1 writeback 2 migration_threshold 7 mq 10 random_threshold 0 sequential_threshold 0 discard_promote_adjustment 0 read_promote_adjustment 0 write_promote_adjustment 0 rw - 
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 cache @D5 @D1 @D2 064 3 metadata2 METADATA2 no_discard_passdown cleaner 0'
= 0
$ dmsetup table --inactive t
| 0 8192 cache @D5 @D1 @D2 064 3 metadata2 METADATA2 no_discard_passdown cleaner 0
= 0
$ dmsetup status --inactive t
| 0 8192 cache 8 7/256 64 0/32 0 0 0 0 0 0 0 3 metadata2 writeback no_discard_passdown 2 migration_threshold 2048 cleaner 0 rw - 
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 cache @D5 @D1 @D2 128 0 smq 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: cache metadata: changing the data block size (from 64 to 128) is not supported
~ device-mapper: table: @MAJ:@MIN: cache: Error creating metadata object (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 cache @D5 @D1 @D2 64 1 passthrough cleaner 0'
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 1 metadata2 smq 0'
= 0
$ dmsetup status --inactive t
| 0 8192 cache 8 6/256 64 0/32 0 0 0 0 0 0 0 2 metadata2 writeback 2 migration_threshold 2048 smq 0 rw - 
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 0 mq 10 random_threshold 1 sequential_threshold 2 discard_promote_adjustment 3 read_promote_adjustment 4 write_promote_adjustment 5'
~ device-mapper: cache-policy-smq: tunable 'random_threshold' no longer has any effect, mq policy is now an alias for smq
~ device-mapper: cache-policy-smq: tunable 'sequential_threshold' no longer has any effect, mq policy is now an alias for smq
~ device-mapper: cache-policy-smq: tunable 'discard_promote_adjustment' no longer has any effect, mq policy is now an alias for smq
~ device-mapper: cache-policy-smq: tunable 'read_promote_adjustment' no longer has any effect, mq policy is now an alias for smq
~ device-mapper: cache-policy-smq: tunable 'write_promote_adjustment' no longer has any effect, mq policy is now an alias for smq
= 0
$ dmsetup status --inactive t
| 0 8192 cache 8 6/256 64 0/32 0 0 0 0 0 0 0 1 writeback 2 migration_threshold 2048 mq 10 random_threshold 0 sequential_threshold 0 discard_promote_adjustment 0 read_promote_adjustment 0 write_promote_adjustment 0 rw - 
= 0
$ dmsetup clear t
= 0
& patch D0 100 ff
= 0
$ dmsetup load t --table '0 8192 cache @D0 @D1 @D2 64 0 smq 0'
! device-mapper: reload ioctl on t  failed: Invalid or incomplete multibyte or wide character
! Command failed.
~ device-mapper: cache metadata: sb_check failed: csum 4251739393: wanted 3611874085
~ device-mapper: block manager: superblock validator check failed for block 0
~ device-mapper: cache metadata: couldn't read lock superblock
~ device-mapper: table: @MAJ:@MIN: cache: Error creating metadata object (-EILSEQ)
= 1
$ dmsetup remove t
= 0
$ dmsetup create big --table '0 8192 cache @D5 @D1 @D2 64 1 writeback smq 2 migration_threshold 18446744073709551615'
= 0
$ dmsetup status big
| 0 8192 cache 8 9/256 64 0/32 0 0 0 0 0 0 0 1 writeback 2 migration_threshold 18446744073709551615 smq 0 rw - 
= 0
$ dmsetup message big 0 migration_threshold 18446744073709551616
! device-mapper: message ioctl on big  failed: Invalid argument
! Command failed.
~ device-mapper: cache: bad config value for migration_threshold: 18446744073709551616
= 1
$ dmsetup message big 0 migration_threshold +5
= 0
$ dmsetup message big 0 migration_threshold -5
! dmsetup: invalid option -- '5'
! Couldn't process command line.
= 1
$ dmsetup message big 0 migration_threshold 0x10
! device-mapper: message ioctl on big  failed: Invalid argument
! Command failed.
~ device-mapper: cache: bad config value for migration_threshold: 0x10
= 1
$ dmsetup message big 0 random_threshold 5
! device-mapper: message ioctl on big  failed: Invalid argument
! Command failed.
~ device-mapper: cache: bad config value for random_threshold: 5
= 1
$ dmsetup status big
| 0 8192 cache 8 9/256 64 0/32 0 0 0 0 0 0 0 1 writeback 2 migration_threshold 5 smq 0 rw - 
= 0
$ dmsetup remove big
= 0
