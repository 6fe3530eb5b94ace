# SPDX-License-Identifier: BSD-2-Clause
# clone: every way to say it wrong
@D0 1MiB zero
@D1 4MiB byte=0x5a
@D2 4MiB byte=0xa5
@D3 1MiB byte=0xff
@D4 2MiB zero
@D5 4KiB zero
@D6 1MiB zero
$ dmsetup create t --notable
= 0
$ dmsetup load t --table '0 8192 clone'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid number of arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid number of arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone /dev/nosuch @D1 @D2 8'
! device-mapper: reload ioctl on t  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Error opening metadata device (-ENOENT)
= 1
$ dmsetup load t --table '0 8192 clone @D0 /dev/nosuch @D2 8'
! device-mapper: reload ioctl on t  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Error opening destination device (-ENOENT)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 /dev/nosuch 8'
! device-mapper: reload ioctl on t  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Error opening source device (-ENOENT)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D4 @D2 8'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Device size larger than destination device (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D4 8'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Device size larger than source device (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid region size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid region size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 4'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid region size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 24'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Region size is not a power of 2 (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 4194304'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid region size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 -8'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid region size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid number of feature arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 3 no_hydration'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid number of feature arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid number of feature arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 1 bogus'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid feature argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 0 x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid number of core arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 0 5 hydration_threshold 1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid number of core arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 0 1 hydration_threshold'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Number of core arguments must be even (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 0 2 hydration_threshold'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid number of core arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 0 2 hydration_threshold x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid value for argument `hydration_threshold' (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 0 2 hydration_batch_size -1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid value for argument `hydration_batch_size' (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 0 2 hydration_batch_size 4294967296'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid value for argument `hydration_batch_size' (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8 0 2 bogus 1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: clone: Invalid core argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D3 @D1 @D2 8'
! device-mapper: reload ioctl on t  failed: Block device required
! Command failed.
~ device-mapper: clone metadata: Superblock check failed: blocknr 18446744073709551615, expected 0
~ device-mapper: block manager: superblock validator check failed for block 0
~ device-mapper: clone metadata: Failed to read_lock superblock
~ device-mapper: table: @MAJ:@MIN: clone: Failed to load metadata (-ENOTBLK)
= 1
$ dmsetup load t --table '0 8192 clone @D5 @D1 @D2 8'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: space map common: metadata block out of bounds
~ device-mapper: space map common: dm_tm_shadow_block() failed
~ device-mapper: space map metadata: dm_sm_metadata_create: apply_bops failed
~ device-mapper: transaction manager: couldn't create metadata space map
~ device-mapper: clone metadata: Failed to create transaction manager
~ device-mapper: table: @MAJ:@MIN: clone: Failed to load metadata (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 2097152'
= 0
$ dmsetup table --inactive t
| 0 8192 clone @D0 @D1 @D2 2097152
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 clone @D0 @D1 @D2 8'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: clone metadata: Region and/or target size don't match the ones in metadata
~ device-mapper: table: @MAJ:@MIN: clone: Failed to load metadata (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D6 @D1 @D2 8 2 no_hydration NO_DISCARD_PASSDOWN 4 hydration_threshold +7 HYDRATION_BATCH_SIZE 3 trailing words'
= 0
$ dmsetup table --inactive t
| 0 8192 clone @D6 @D1 @D2 8 2 no_hydration NO_DISCARD_PASSDOWN 4 hydration_threshold +7 HYDRATION_BATCH_SIZE 3 trailing words
= 0
$ dmsetup status --inactive t
| 0 8192 clone 8 6/256 8 0/1024 0 2 no_hydration no_discard_passdown 4 hydration_threshold 7 hydration_batch_size 3 rw
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 clone @D6 @D1 @D2 16'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: clone metadata: Region and/or target size don't match the ones in metadata
~ device-mapper: table: @MAJ:@MIN: clone: Failed to load metadata (-EINVAL)
= 1
$ dmsetup load t --table '0 4096 clone @D6 @D1 @D2 8'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: clone metadata: Region and/or target size don't match the ones in metadata
~ device-mapper: table: @MAJ:@MIN: clone: Failed to load metadata (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 clone @D6 @D1 @D2 8 2 no_hydration no_hydration 0'
= 0
$ dmsetup table --inactive t
| 0 8192 clone @D6 @D1 @D2 8 2 no_hydration no_hydration 0
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 clone @D6 @D1 @D2 08 0 4 hydration_threshold 0 hydration_threshold 9'
= 0
$ dmsetup table --inactive t
| 0 8192 clone @D6 @D1 @D2 08 0 4 hydration_threshold 0 hydration_threshold 9
= 0
$ dmsetup clear t
= 0
& patch D6 100 ff
= 0
$ dmsetup load t --table '0 8192 clone @D6 @D1 @D2 8'
! device-mapper: reload ioctl on t  failed: Invalid or incomplete multibyte or wide character
! Command failed.
~ device-mapper: clone metadata: Superblock check failed: checksum 870985718, expected 432970194
~ device-mapper: block manager: superblock validator check failed for block 0
~ device-mapper: clone metadata: Failed to read_lock superblock
~ device-mapper: table: @MAJ:@MIN: clone: Failed to load metadata (-EILSEQ)
= 1
$ dmsetup remove t
= 0
