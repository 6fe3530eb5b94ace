# SPDX-License-Identifier: BSD-2-Clause
# thin-pool, thin: every way to say it wrong
@D0 1MiB zero
@D1 8MiB byte=0x5a
@D2 1MiB byte=0xff
@D3 4KiB zero
@D4 1MiB zero
@D5 8MiB zero
$ dmsetup create t --notable
= 0
$ dmsetup load t --table '0 16384 thin-pool'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid argument count (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 128'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid argument count (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D0 128 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Error setting metadata or data device (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool /dev/nosuch @D1 128 0'
! device-mapper: reload ioctl on t  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Error opening metadata block device (-ENOENT)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 /dev/nosuch 128 0'
! device-mapper: reload ioctl on t  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Error getting data device (-ENOENT)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 x 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 0 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 64 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 192 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 2097280 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 128 x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid low water mark (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 128 -1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid low water mark (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 128 0 x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid number of pool feature arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 128 0 5 read_only'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid number of pool feature arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 128 0 2 read_only'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Invalid number of pool feature arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 128 0 1 bogus'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Unrecognised pool feature requested (-EINVAL)
= 1
$ dmsetup load t --table '0 16385 thin-pool @D0 @D1 128 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: @D1 too small for target: start=0, len=16385, dev_size=16384
~ device-mapper: core: Cannot calculate initial queue limits
~ device-mapper: ioctl: unable to set up device queue for new table.
= 1
$ dmsetup load t --table '0 16384 thin-pool @D2 @D1 128 0'
! device-mapper: reload ioctl on t  failed: Block device required
! Command failed.
~ device-mapper: thin metadata: sb_check failed: blocknr 18446744073709551615: wanted 0
~ device-mapper: block manager: superblock validator check failed for block 0
~ device-mapper: thin metadata: couldn't read superblock
~ device-mapper: table: @MAJ:@MIN: thin-pool: Error creating metadata object (-ENOTBLK)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D3 @D1 128 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: space map common: metadata block out of bounds
~ device-mapper: space map common: dm_tm_shadow_block() failed
~ device-mapper: space map metadata: dm_sm_metadata_create: apply_bops failed
~ device-mapper: transaction manager: couldn't create metadata space map
~ device-mapper: thin metadata: tm_create_with_sm failed
~ device-mapper: table: @MAJ:@MIN: thin-pool: Error creating metadata object (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 128 0 1 read_only'
= 0
$ dmsetup table --inactive t
| 0 16384 thin-pool @D0 @D1 128 0 1 read_only 
= 0
$ dmsetup status --inactive t
| 0 16384 thin-pool 0 33/256 0/0 - rw discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 +128 +3 4 ERROR_IF_NO_SPACE skip_block_zeroing ignore_discard no_discard_passdown junk'
= 0
$ dmsetup table --inactive t
| 0 16384 thin-pool @D0 @D1 128 3 4 skip_block_zeroing ignore_discard no_discard_passdown error_if_no_space 
= 0
$ dmsetup status --inactive t
| 0 16384 thin-pool 0 33/256 0/0 - rw discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 256 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: thin metadata: changing the data block size (from 128 to 256) is not supported
~ device-mapper: table: @MAJ:@MIN: thin-pool: Error creating metadata object (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 0128 0 0'
= 0
$ printf '0 8192 thin-pool @D4 @D1 128 0\n8192 8192 zero\n' | dmsetup load t
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: different pool cannot replace a pool (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 thin-pool @D4 @D1 128 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: different pool cannot replace a pool (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D5 128 0'
! device-mapper: reload ioctl on t  failed: Device or resource busy
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: data device already in use by a pool (-EBUSY)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 128 0 1 ignore_discard'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Discard support cannot be disabled once enabled (-EINVAL)
= 1
$ dmsetup resume t
= 0
$ dmsetup status t
| 0 16384 thin-pool 0 34/256 0/128 - rw discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup load t --table '0 16384 linear @D1 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: ioctl: can't replace immutable target type thin-pool
= 1
$ dmsetup load t --table '0 16384 thin-pool @D4 @D1 128 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: different pool cannot replace a pool (-EINVAL)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D5 128 0'
! device-mapper: reload ioctl on t  failed: Device or resource busy
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: data device already in use by a pool (-EBUSY)
= 1
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 256 0'
= 0
$ dmsetup load t --table '0 16384 thin-pool @D0 @D1 128 0'
= 0
$ dmsetup create u --table '0 16384 thin-pool @D0 @D5 128 0'
! device-mapper: reload ioctl on u (@MAJ:@MIN) failed: Device or resource busy
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: metadata device already in use by a pool (-EBUSY)
= 1
$ dmsetup create u --table '0 16384 thin-pool @D4 @D1 128 0'
= 0
$ dmsetup remove u
= 0
$ dmsetup create h --notable
= 0
$ dmsetup load h --table '0 1024 thin'
! device-mapper: reload ioctl on h  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Invalid argument count (-EINVAL)
= 1
$ dmsetup load h --table '0 1024 thin /dev/mapper/t'
! device-mapper: reload ioctl on h  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Invalid argument count (-EINVAL)
= 1
$ dmsetup load h --table '0 1024 thin /dev/mapper/t 0'
! device-mapper: reload ioctl on h  failed: No data available
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Couldn't open thin internal device (-ENODATA)
= 1
$ dmsetup load h --table '0 1024 thin /dev/mapper/t 0 @D5 x'
! device-mapper: reload ioctl on h  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Invalid argument count (-EINVAL)
= 1
$ dmsetup load h --table '0 1024 thin /dev/mapper/nosuch 0'
! device-mapper: reload ioctl on h  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Error opening pool device (-ENOENT)
= 1
$ dmsetup load h --table '0 1024 thin @D5 0'
! device-mapper: reload ioctl on h  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Couldn't get pool mapped device (-EINVAL)
= 1
$ dmsetup load h --table '0 1024 thin /dev/mapper/t x'
! device-mapper: reload ioctl on h  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Invalid device id (-EINVAL)
= 1
$ dmsetup load h --table '0 1024 thin /dev/mapper/t -1'
! device-mapper: reload ioctl on h  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Invalid device id (-EINVAL)
= 1
$ dmsetup load h --table '0 1024 thin /dev/mapper/t 16777216'
! device-mapper: reload ioctl on h  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Invalid device id (-EINVAL)
= 1
$ dmsetup load h --table '0 1024 thin /dev/mapper/t 0 /dev/mapper/t'
! device-mapper: reload ioctl on h  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Error setting origin device (-EINVAL)
= 1
$ dmsetup load h --table '0 1024 thin /dev/mapper/t 0 /dev/nosuch'
! device-mapper: reload ioctl on h  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Error opening origin device (-ENOENT)
= 1
$ dmsetup message t 0 create_thin 0
= 0
$ dmsetup load h --table '0 1024 thin /dev/mapper/t 0 /dev/mapper/t'
! device-mapper: reload ioctl on h  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Error setting origin device (-EINVAL)
= 1
$ dmsetup load h --table '0 1024 thin /dev/mapper/t +0 @D5'
= 0
$ dmsetup table --inactive h
| 0 1024 thin @DM{t} 0 @D5
= 0
$ dmsetup status --inactive h
| 0 1024 thin 0 -
= 0
$ dmsetup clear h
= 0
$ dmsetup suspend t
= 0
$ dmsetup load h --table '0 1024 thin /dev/mapper/t 0'
! device-mapper: reload ioctl on h  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Unable to activate thin device while pool is suspended (-EINVAL)
= 1
$ dmsetup resume t
= 0
$ dmsetup load h --table '0 1024 thin /dev/mapper/t 00'
= 0
$ dmsetup table --inactive h
| 0 1024 thin @DM{t} 0
= 0
$ printf '0 1024 thin /dev/mapper/t 0\n1024 1024 zero\n' | dmsetup load h
= 0
$ dmsetup resume h
= 0
$ dmsetup status h
| 0 1024 thin 0 -
| 1024 1024 zero 
= 0
$ dmsetup remove h
= 0
$ dmsetup remove t
= 0
& patch D0 100 ff
= 0
$ dmsetup create t --table '0 16384 thin-pool @D0 @D1 128 0'
! device-mapper: reload ioctl on t (@MAJ:@MIN) failed: Invalid or incomplete multibyte or wide character
! Command failed.
~ device-mapper: thin metadata: sb_check failed: csum 4162546963: wanted 3527400247
~ device-mapper: block manager: superblock validator check failed for block 0
~ device-mapper: thin metadata: couldn't read superblock
~ device-mapper: table: @MAJ:@MIN: thin-pool: Error creating metadata object (-EILSEQ)
= 1
$ dmsetup remove t
! device-mapper: remove ioctl on t  failed: No such device or address
! Command failed.
= 1
