# SPDX-License-Identifier: BSD-2-Clause
# thin-pool: low water, out of data space, out of metadata space, failures, needs_check
@D0 1MiB zero
@D1 8MiB byte=0x5a
@D2 64KiB zero
$ dmsetup create p --table '0 1024 thin-pool @D0 @D1 128 4 1 error_if_no_space'
= 0
$ dmsetup message p 0 create_thin 1
= 0
$ dmsetup create h --table '0 8192 thin /dev/mapper/p 1'
= 0
& event p
| 0
= 0
& write h 0 512 0x11
= 0
& event p
| 0
= 0
$ dmsetup status p
| 0 1024 thin-pool 0 35/256 4/8 - rw discard_passdown error_if_no_space - 64 
= 0
& write h 512 512 0x12
~ device-mapper: thin: @MAJ:@MIN: reached low water mark for data device: sending event.
= 0
& event p
| 1
= 0
$ dmsetup status p
| 0 1024 thin-pool 0 35/256 8/8 - rw discard_passdown error_if_no_space - 64 
= 0
& write h 1024 8 0x13
~ device-mapper: thin: @MAJ:@MIN: switching pool to out-of-data-space (error IO) mode
= ENOSPC
& event p
| 1
= 0
$ dmsetup status p
| 0 1024 thin-pool 0 35/256 8/8 - out_of_data_space discard_passdown error_if_no_space - 64 
= 0
& write h 0 8 0x14
= 0
& read h 1024 8
| all 0x00
= 0
& flush h
= 0
& event p
| 0
= 0
$ dmsetup message p 0 create_thin 2
= 0
$ dmsetup message p 0 create_snap 3 1
= 0
$ dmsetup status p
| 0 1024 thin-pool 0 36/256 8/8 - out_of_data_space discard_passdown error_if_no_space - 64 
= 0
& write h 0 8 0x15
= ENOSPC
& discard h 0 128
= 0
$ dmsetup status p
| 0 1024 thin-pool 0 37/256 8/8 - out_of_data_space discard_passdown error_if_no_space - 64 
= 0
& event p
| 0
= 0
& write h 2048 8 0x16
= ENOSPC
& write h 2176 8 0x17
= ENOSPC
$ dmsetup status p
| 0 1024 thin-pool 0 37/256 8/8 - out_of_data_space discard_passdown error_if_no_space - 64 
= 0
$ dmsetup load p --table '0 2048 thin-pool @D0 @D1 128 4'
= 0
$ dmsetup suspend p
= 0
$ dmsetup resume p
~ device-mapper: thin: @MAJ:@MIN: switching pool to write mode
~ device-mapper: thin: @MAJ:@MIN: growing the data device from 8 to 16 blocks
= 0
$ dmsetup status p
| 0 2048 thin-pool 0 37/256 8/16 - rw discard_passdown queue_if_no_space - 64 
= 0
& event p
| 1
= 0
& write h 3072 512 0x18
= 0
& write h 4096 384 0x19
~ device-mapper: thin: @MAJ:@MIN: reached low water mark for data device: sending event.
= 0
& event p
| 1
= 0
$ dmsetup status p
| 0 2048 thin-pool 0 37/256 15/16 - rw discard_passdown queue_if_no_space - 64 
= 0
& write h 4608 128 0x19
= 0
$ dmsetup status p
| 0 2048 thin-pool 0 37/256 16/16 - rw discard_passdown queue_if_no_space - 64 
= 0
& begin write h 8064 8 0x20
~ device-mapper: thin: @MAJ:@MIN: switching pool to out-of-data-space (queue IO) mode
= 0
& waits
| waits
= 0
$ dmsetup status p
| 0 2048 thin-pool 0 37/256 16/16 - out_of_data_space discard_passdown queue_if_no_space - 64 
= 0
& event p
| 1
= 0
$ dmsetup load p --table '0 4096 thin-pool @D0 @D1 128 4'
= 0
$ dmsetup suspend p
= 0
$ dmsetup resume p
~ device-mapper: thin: @MAJ:@MIN: switching pool to write mode
~ device-mapper: thin: @MAJ:@MIN: growing the data device from 16 to 32 blocks
= 0
& end
| = 0
= 0
$ dmsetup status p
| 0 4096 thin-pool 0 37/256 17/32 - rw discard_passdown queue_if_no_space - 64 
= 0
& event p
| 1
= 0
& write h 5120 1920 0x21
~ device-mapper: thin: @MAJ:@MIN: reached low water mark for data device: sending event.
= 0
$ dmsetup status p
| 0 4096 thin-pool 0 37/256 32/32 - rw discard_passdown queue_if_no_space - 64 
= 0
& begin write h 7936 8 0x22
~ device-mapper: thin: @MAJ:@MIN: switching pool to out-of-data-space (queue IO) mode
= 0
& waits
| waits
= 0
$ dmsetup status p
| 0 4096 thin-pool 0 37/256 32/32 - out_of_data_space discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup load p --table '0 4096 thin-pool @D0 @D1 128 4 1 error_if_no_space'
= 0
$ dmsetup suspend p
= 0
$ dmsetup resume p
~ device-mapper: thin: @MAJ:@MIN: switching pool to write mode
~ device-mapper: thin: @MAJ:@MIN: reached low water mark for data device: sending event.
~ device-mapper: thin: @MAJ:@MIN: switching pool to out-of-data-space (error IO) mode
= 0
& end
| = ENOSPC
= 0
$ dmsetup status p
| 0 4096 thin-pool 0 37/256 32/32 - out_of_data_space discard_passdown error_if_no_space - 64 
= 0
$ dmsetup remove h
= 0
$ dmsetup remove p
= 0
& tool thin_check D0
| exit 0
= 0
& tool thin_dump D0
| superblock data_block_size=128 flags=0 nr_data_blocks=32 time=1 transaction=0 version=2
| device creation_time=0 dev_id=1 mapped_blocks=31 snap_time=1 transaction=0
| map 1 -> #0 +7 time 0
| map 24 -> #7 +4 time 1
| map 32 -> #11 +3 time 1
| map 36 -> #14 +1 time 1
| map 40 -> #15 +15 time 1
| map 63 -> #30 +1 time 1
| device creation_time=0 dev_id=2 mapped_blocks=0 snap_time=0 transaction=0
| device creation_time=1 dev_id=3 mapped_blocks=8 snap_time=1 transaction=0
| map 0 -> #31 +1 time 0
| map 1 -> #0 +7 time 0
| exit 0
= 0
$ dmsetup create m --table '0 2048 linear @D0 0'
= 0
$ dmsetup create p --table '0 16384 thin-pool /dev/mapper/m @D1 128 0'
~ device-mapper: thin: @MAJ:@MIN: growing the data device from 32 to 128 blocks
= 0
$ dmsetup create h --table '0 8192 thin /dev/mapper/p 1'
= 0
& write h 5120 8 0x30
= 0
& flush h
= 0
& read h 1024 8
| all 0x00
= 0
$ dmsetup load m --table '0 2048 error'
= 0
$ dmsetup suspend --noflush m
= 0
$ dmsetup resume m
= 0
& write h 1024 8 0x31
~ device-mapper: thin: @MAJ:@MIN: metadata operation 'dm_pool_alloc_data_block' failed: error = -5
~ device-mapper: thin: @MAJ:@MIN: aborting current metadata transaction
~ device-mapper: thin: @MAJ:@MIN: failed to abort metadata transaction
~ device-mapper: thin: @MAJ:@MIN: switching pool to fail mode
~ device-mapper: thin: @MAJ:@MIN: failed to set 'needs_check' flag in metadata
~ device-mapper: thin: provision_block: alloc_data_block() failed: error = -5
= EIO
& flush h
= EIO
& event p
| -5
= 0
$ dmsetup status p
| 0 16384 thin-pool Fail
= 0
$ dmsetup status h
| 0 8192 thin Fail
= 0
& write h 1024 8 0x32
= EIO
& read h 0 8
= EIO
& flush h
= EIO
$ dmsetup message p 0 create_thin 7
! device-mapper: message ioctl on p  failed: Operation not supported
! Command failed.
~ device-mapper: thin: @MAJ:@MIN: unable to service pool target messages in READ_ONLY or FAIL mode
= 1
$ dmsetup create j --table '0 8192 thin /dev/mapper/p 1'
! device-mapper: reload ioctl on j (@MAJ:@MIN) failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin: Couldn't open thin device, Pool is in fail mode (-EINVAL)
= 1
$ dmsetup load m --table '0 2048 linear @D0 0'
= 0
$ dmsetup suspend --noflush m
= 0
$ dmsetup resume m
= 0
$ dmsetup suspend p
= 0
$ dmsetup resume p
~ device-mapper: thin: @MAJ:@MIN: failed to retrieve data device size
= 0
$ dmsetup status p
| 0 16384 thin-pool Fail
= 0
& write h 1024 8 0x33
= EIO
$ dmsetup remove h
= 0
$ dmsetup remove p
= 0
$ dmsetup create p --table '0 16384 thin-pool /dev/mapper/m @D1 128 0'
= 0
$ dmsetup status p
| 0 16384 thin-pool 0 37/256 32/128 - rw discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup create h --table '0 8192 thin /dev/mapper/p 1'
= 0
& read h 0 8192
| sha256 63a626a9b9f60d9e71c548b2373718d05e7f810cc0df5178e1b63c3993a91c13
= 0
& write h 1024 8 0x34
= 0
$ dmsetup message p 0 create_thin 8
= 0
$ dmsetup load p --table '0 8192 thin-pool /dev/mapper/m @D1 128 0'
= 0
$ dmsetup suspend p
= 0
$ dmsetup resume p
! device-mapper: resume ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: @MAJ:@MIN: pool target (64 blocks) too small: expected 128
~ device-mapper: table: @MAJ:@MIN: thin-pool: preresume failed, error = -22
= 1
$ dmsetup info -c --noheadings -o name,attr p
| p:L-sw
= 0
$ dmsetup status p
| 0 8192 thin-pool 0 38/256 33/128 - rw discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup remove h
= 0
$ dmsetup remove p
= 0
$ dmsetup remove m
= 0
& tool thin_check D0
| exit 0
= 0
$ dmsetup create p --table '0 16384 thin-pool @D2 @D1 128 0'
~ device-mapper: thin: @MAJ:@MIN: reached low water mark for metadata device: sending event.
= 0
$ dmsetup status p
| 0 16384 thin-pool 0 10/16 0/128 - rw discard_passdown queue_if_no_space - 4 
= 0
$ dmsetup message p 0 create_thin 0
~ device-mapper: thin: @MAJ:@MIN: reached low water mark for metadata device: sending event.
= 0
$ dmsetup status p
| 0 16384 thin-pool 0 11/16 0/128 - rw discard_passdown queue_if_no_space - 4 
= 0
$ dmsetup remove p
= 0
