# SPDX-License-Identifier: BSD-2-Clause
# era: every way to say it wrong, and what is on the metadata device already
@D0 1MiB zero
@D1 4MiB byte=0x5a
@D2 1MiB byte=0xff
@D3 4KiB zero
@D4 12KiB zero
@D5 1MiB zero
$ dmsetup create t --notable
= 0
$ dmsetup load t --table '0 8192 era'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Invalid argument count (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Invalid argument count (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Invalid argument count (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 64 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Invalid argument count (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era /dev/nosuch @D1 64'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Error opening metadata device (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 /dev/nosuch 64'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Error opening data device (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Error parsing block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 64x'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Error parsing block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 -64'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Error parsing block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 +64'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Error parsing block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 0x40'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Error parsing block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 0'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 4'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 7'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 12'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 4294967295'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: era: Invalid block size (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D2 @D1 64'
! device-mapper: reload ioctl on t  failed: Block device required
! Command failed.
~ device-mapper: era: sb_check failed: blocknr 18446744073709551615: wanted 0
~ device-mapper: block manager: superblock validator check failed for block 0
~ device-mapper: era: couldn't read_lock superblock
~ device-mapper: table: @MAJ:@MIN: era: Error reading metadata (-ENOTBLK)
= 1
$ dmsetup load t --table '0 8192 era @D3 @D1 64'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: space map common: metadata block out of bounds
~ device-mapper: space map common: dm_tm_shadow_block() failed
~ device-mapper: space map metadata: dm_sm_metadata_create: apply_bops failed
~ device-mapper: transaction manager: couldn't create metadata space map
~ device-mapper: era: dm_tm_create_with_sm failed
~ device-mapper: table: @MAJ:@MIN: era: Error reading metadata (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D4 @D1 64'
! device-mapper: reload ioctl on t  failed: No space left on device
! Command failed.
~ device-mapper: transaction manager: couldn't create metadata space map
~ device-mapper: era: dm_tm_create_with_sm failed
~ device-mapper: table: @MAJ:@MIN: era: Error reading metadata (-ENOSPC)
= 1
$ dmsetup load t --table '0 8193 era @D0 @D1 64'
= 0
$ dmsetup table --inactive t
| 0 8193 era @D0 @D1 64
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 16384 era @D0 @D1 64'
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 era @D0 @D1 24'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: era: changing the data block size (from 64 to 24) is not supported
~ device-mapper: table: @MAJ:@MIN: era: Error reading metadata (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D5 @D1 24'
= 0
$ dmsetup table --inactive t
| 0 8192 era @D5 @D1 24
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 era @D0 @D1 64'
= 0
$ dmsetup table --inactive t
| 0 8192 era @D0 @D1 64
= 0
$ dmsetup clear t
= 0
$ dmsetup load t --table '0 8192 era @D0 @D1 128'
! device-mapper: reload ioctl on t  failed: Invalid argument
! Command failed.
~ device-mapper: era: changing the data block size (from 64 to 128) is not supported
~ device-mapper: table: @MAJ:@MIN: era: Error reading metadata (-EINVAL)
= 1
$ dmsetup load t --table '0 8192 era @D0 @D1 064'
= 0
$ dmsetup table --inactive t
| 0 8192 era @D0 @D1 64
= 0
$ dmsetup clear t
= 0
& patch D0 100 ff
= 0
$ dmsetup load t --table '0 8192 era @D0 @D1 64'
! device-mapper: reload ioctl on t  failed: Invalid or incomplete multibyte or wide character
! Command failed.
~ device-mapper: era: sb_check failed: csum 3894703190: wanted 3254829682
~ device-mapper: block manager: superblock validator check failed for block 0
~ device-mapper: era: couldn't read_lock superblock
~ device-mapper: table: @MAJ:@MIN: era: Error reading metadata (-EILSEQ)
= 1
$ dmsetup remove t
= 0
