# SPDX-License-Identifier: BSD-2-Clause
# writecache: every way to say it wrong
@D0 4MiB byte=0x5a
@D1 1MiB zero
@D2 1MiB byte=0xff
@D3 4KiB zero
@D4 1MiB zero bs=4096
@D5 2KiB zero
$ dmsetup create t --notable
= 0
$ dmsetup load t --table '0 8192 writecache'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Bad arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Bad arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache x @D0 @D1 4096 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Bad arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache ss @D0 @D1 4096 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Bad arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache S @D0 @D1 4096 0'
= 0
$ dmsetup load t --table '0 8192 writecache s @D0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Bad arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Bad arguments (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid number of feature args (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s /dev/nosuch @D1 4096 0'
! device-mapper: reload ioctl on t  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Origin data device lookup failed (-ENOENT)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 /dev/nosuch 4096 0'
! device-mapper: reload ioctl on t  failed: No such file or directory
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Cache data device lookup failed (-ENOENT)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 x 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 256 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 3000 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 8192 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 +512 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D4 512 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Block size is smaller than device logical block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid number of feature args (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 19'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid number of feature args (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 high_watermark'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid number of feature args (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 1 high_watermark'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 high_watermark 101'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 high_watermark -1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 high_watermark 44'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: High watermark must be greater than or equal to low watermark (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 low_watermark 51'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: High watermark must be greater than or equal to low watermark (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 low_watermark x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 writeback_jobs x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 autocommit_blocks x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 autocommit_time 3600001'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 max_age 86400001'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 pause_writeback 60001'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 start_sector 2048'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 start_sector x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 1 fua'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 1 nofua'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 1 bogus'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 bogus 1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache p @D0 @D1 4096 0'
! device-mapper: reload ioctl on t  failed: Operation not supported
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Cache device is not a DAX device (-EOPNOTSUPP)
= 1
$ dmsetup load t --table '0 8192 writecache p @D0 @D1 4096 2 fua nofua'
! device-mapper: reload ioctl on t  failed: Operation not supported
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Cache device is not a DAX device (-EOPNOTSUPP)
= 1
$ dmsetup load t --table '0 8192 writecache p @D0 @D1 4096 2 writeback_jobs 1'
! device-mapper: reload ioctl on t  failed: Operation not supported
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Cache device is not a DAX device (-EOPNOTSUPP)
= 1
$ dmsetup load t --table '0 8192 writecache p @D0 @D1 4096 2 pause_writeback 1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid optional argument (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D2 4096 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid magic in the superblock (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D3 4096 0'
! device-mapper: reload ioctl on t  failed: No space left on device
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid device size (-ENOSPC)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D5 512 0'
= 0
$ dmsetup load t --table '0 8200 writecache s @D0 @D1 4096 0'
= 0
$ dmsetup table --inactive t
| 0 8200 writecache s @D0 @D1 4096 0
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 16 HIGH_watermark 100 low_watermark 0 writeback_jobs 0 autocommit_blocks 1 autocommit_time 0 max_age 86400000 cleaner metadata_only pause_writeback 0'
= 0
$ dmsetup table --inactive t
| 0 8192 writecache s @D0 @D1 4096 16 high_watermark 100 low_watermark 0 writeback_jobs 0 autocommit_blocks 1 autocommit_time 0 max_age 86400000 cleaner metadata_only pause_writeback 0
= 0
$ dmsetup status --inactive t
| 0 8192 writecache 0 254 0 0 0 0 0 0 0 0 0 0 0 0
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 4 high_watermark 100 high_watermark 90'
= 0
$ dmsetup table --inactive t
| 0 8192 writecache s @D0 @D1 4096 2 high_watermark 90
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 04096 0 junk behind'
= 0
$ dmsetup table --inactive t
| 0 8192 writecache s @D0 @D1 4096 0
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 512 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Block size does not match superblock (-EINVAL)
= 1
$ dmsetup load t --table '0 8191 writecache s @D0 @D1 4096 0'
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 start_sector 2040'
! device-mapper: reload ioctl on t  failed: No space left on device
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid device size (-ENOSPC)
= 1
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 2 start_sector 1024'
= 0
$ dmsetup table --inactive t
| 0 8192 writecache s @D0 @D1 4096 2 start_sector 1024
= 0
$ dmsetup status --inactive t
| 0 8192 writecache 0 127 0 0 0 0 0 0 0 0 0 0 0 0
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 writecache s @D0 @D4 4096 0'
= 0
$ dmsetup clear t
= 0
& patch D1 4 09
= 0
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid version in the superblock (-EINVAL)
= 1
& patch D1 4 01000000
= 0
& patch D1 16 ffffff
= 0
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Memory area is too small (-EINVAL)
= 1
& patch D1 16 ffffffffffffff7f
= 0
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Overflow in size calculation (-EINVAL)
= 1
& patch D1 0 00
= 0
$ dmsetup load t --table '0 8192 writecache s @D0 @D1 4096 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: writecache: Invalid magic in the superblock (-EINVAL)
= 1
$ dmsetup remove t
= 0
