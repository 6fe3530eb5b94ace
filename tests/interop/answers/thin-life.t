# SPDX-License-Identifier: BSD-2-Clause
# thin: blocks, snapshots, discards, external origins, features, sizes
@D0 1MiB zero
@D1 8MiB byte=0x5a
@D2 1MiB counter
@D3 1MiB zero
$ dmsetup create p --table '0 8192 thin-pool @D0 @D1 128 8'
= 0
$ dmsetup message p 0 create_thin 1
= 0
$ dmsetup create h --table '0 4000 thin /dev/mapper/p 1'
= 0
& read h 0 4000
| all 0x00
= 0
& write h 8 8 0x11
= 0
& write h 3990 10 0x12
= 0
& write h 256 256 0x13
= 0
$ dmsetup status h
| 0 4000 thin 512 4095
= 0
$ dmsetup status p
| 0 8192 thin-pool 0 35/256 4/64 - rw discard_passdown queue_if_no_space - 64 
= 0
& read h 0 128
| sha256 78532c1630108cc4efe24d09c8445d02dad92ce650de5a00ddd68782088d8fec
= 0
& read h 3968 32
| sha256 393176b46033b6729d8b1af6b3636b43331facc2ac2c76542b4224bd9cda7a71
= 0
$ dmsetup suspend h
= 0
$ dmsetup message p 0 create_snap 2 1
= 0
$ dmsetup resume h
= 0
$ dmsetup create s --table '0 4000 thin /dev/mapper/p 2'
= 0
& write h 8 8 0x21
= 0
& write s 256 128 0x22
= 0
& read s 0 4000
| sha256 eaffeeccda31a58c7aa8c94677c8201bbf39d21131c427068637bcef0e00f8b8
= 0
& read h 0 4000
| sha256 ca3bd30d5cf8f0e2565e79bf7ce3ecbff934e58974868a2823ceabe299f6ba6f
= 0
$ dmsetup status s
| 0 4000 thin 512 4095
= 0
$ dmsetup status h
| 0 4000 thin 512 4095
= 0
$ dmsetup status p
| 0 8192 thin-pool 0 36/256 6/64 - rw discard_passdown queue_if_no_space - 64 
= 0
& discard h 256 256
= 0
$ dmsetup status h
| 0 4000 thin 256 4095
= 0
& discard h 0 100
= 0
& discard h 64 200
= 0
$ dmsetup status h
| 0 4000 thin 256 4095
= 0
& read h 0 4000
| sha256 4c20eee9633d4482e02fb88d3fd26e4031c09ae5d3295387a09f52a92780ff82
= 0
& discard s 3968 32
= 0
$ dmsetup status s
| 0 4000 thin 512 4095
= 0
& zeroes h 512 128
= 0
& zeroes h 700 20
= 0
$ dmsetup status h
| 0 4000 thin 512 4095
= 0
$ dmsetup status p
| 0 8192 thin-pool 0 36/256 7/64 - rw discard_passdown queue_if_no_space - 64 
= 0
& event p
| 0
= 0
$ dmsetup load h --table '0 8192 thin /dev/mapper/p 1'
= 0
$ dmsetup suspend h
= 0
$ dmsetup resume h
= 0
& write h 8064 128 0x23
= 0
$ dmsetup status h
| 0 8192 thin 640 8191
= 0
$ dmsetup load h --table '0 1000 thin /dev/mapper/p 1'
= 0
$ dmsetup suspend h
= 0
$ dmsetup resume h
= 0
$ dmsetup status h
| 0 1000 thin 640 8191
= 0
$ dmsetup message p 0 create_thin 3
= 0
$ dmsetup create x --table '0 4096 thin /dev/mapper/p 3 @D2'
= 0
$ dmsetup status x
| 0 4096 thin 0 -
= 0
$ dmsetup table x
| 0 4096 thin @DM{p} 3 @D2
= 0
& read x 0 4096
| sha256 bfac91f056e6bab6c84f3de459ae1028e18ca695e922367f7fe3b7a6802afa99
= 0
& write x 8 8 0x31
= 0
& write x 2040 16 0x32
= 0
& write x 3000 8 0x33
= 0
& discard x 0 128
= 0
& read x 0 4096
| sha256 98f9425a8f2ccd887f054b1b5f3c84f8c3bd98b398986c780760ac011613f979
= 0
$ dmsetup status x
| 0 4096 thin 384 3071
= 0
$ dmsetup load p --table '0 16384 thin-pool @D0 @D1 128 8 2 no_discard_passdown skip_block_zeroing'
= 0
$ dmsetup suspend p
= 0
$ dmsetup resume p
~ device-mapper: thin: @MAJ:@MIN: growing the data device from 64 to 128 blocks
= 0
$ dmsetup status p
| 0 16384 thin-pool 0 37/256 11/128 - rw no_discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup table p
| 0 16384 thin-pool @D0 @D1 128 8 2 skip_block_zeroing no_discard_passdown 
= 0
& write h 640 8 0x41
= 0
& read h 640 128
| sha256 5025cdba222877a7f5e5c6eccba693f045c80bec8d303bad07164f19fe036b79
= 0
& discard h 640 128
= 0
$ dmsetup status p
| 0 16384 thin-pool 0 37/256 10/128 - rw no_discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup load p --table '0 8192 thin-pool @D0 @D1 128 8'
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
$ dmsetup resume p
! device-mapper: resume ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: @MAJ:@MIN: pool target (64 blocks) too small: expected 128
~ device-mapper: table: @MAJ:@MIN: thin-pool: preresume failed, error = -22
= 1
$ dmsetup load p --table '0 16384 thin-pool @D0 @D1 128 8 2 no_discard_passdown skip_block_zeroing'
= 0
$ dmsetup resume p
= 0
$ dmsetup status p
| 0 16384 thin-pool 0 37/256 10/128 - rw no_discard_passdown queue_if_no_space - 64 
= 0
& read p 0 8
| all 0x00
= 0
& grow D0 2MiB
= 0
$ dmsetup suspend p
= 0
$ dmsetup resume p
~ device-mapper: thin: @MAJ:@MIN: growing the metadata device from 256 to 512 blocks
= 0
$ dmsetup status p
| 0 16384 thin-pool 0 63/512 10/128 - rw no_discard_passdown queue_if_no_space - 128 
= 0
$ dmsetup remove x
= 0
$ dmsetup remove s
= 0
$ dmsetup remove h
= 0
$ dmsetup message p 0 delete 2
= 0
$ dmsetup status p
| 0 16384 thin-pool 0 62/512 7/128 - rw no_discard_passdown queue_if_no_space - 128 
= 0
$ dmsetup remove p
= 0
& tool thin_check D0
| exit 0
= 0
& tool thin_dump D0
| superblock data_block_size=128 flags=0 nr_data_blocks=128 time=1 transaction=0 version=2
| device creation_time=0 dev_id=1 mapped_blocks=4 snap_time=1 transaction=0
| map 0 -> #0 +1 time 1
| map 4 -> #1 +1 time 1
| map 31 -> #2 +1 time 0
| map 63 -> #3 +1 time 1
| device creation_time=1 dev_id=3 mapped_blocks=3 snap_time=1 transaction=0
| map 15 -> #4 +2 time 1
| map 23 -> #6 +1 time 1
| exit 0
= 0
$ dmsetup create p --table '0 16384 thin-pool @D0 @D1 128 0 1 ignore_discard'
= 0
$ dmsetup create h --table '0 1000 thin /dev/mapper/p 1'
= 0
& read h 0 1000
| sha256 4327a044b43a0de86e6f91b22756d5b0e2a0995a99bf6bc5ea6436dc55a24839
= 0
$ dmsetup status h
| 0 1000 thin 512 8191
= 0
$ dmsetup load p --table '0 16384 thin-pool @D0 @D1 128 0'
! device-mapper: reload ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: table: @MAJ:@MIN: thin-pool: Discard support cannot be disabled once enabled (-EINVAL)
= 1
$ dmsetup status p
| 0 16384 thin-pool 0 62/512 7/128 - rw ignore_discard queue_if_no_space - 128 
= 0
$ dmsetup remove h
= 0
$ dmsetup remove p
= 0
$ dmsetup create q --table '0 8192 thin-pool @D3 @D1 256 0'
= 0
$ dmsetup message q 0 create_thin 0
= 0
$ dmsetup create h --table '0 8192 thin /dev/mapper/q 0'
= 0
& write h 300 300 0x51
= 0
& discard h 256 512
= 0
$ dmsetup status h
| 0 8192 thin 0 -
= 0
& write h 300 8 0x51
= 0
$ dmsetup create r --readonly --table '0 8192 thin /dev/mapper/q 0'
= 0
$ dmsetup remove h
= 0
$ dmsetup create r --readonly --table '0 8192 thin /dev/mapper/q 0'
! device-mapper: create ioctl on r  failed: Device or resource busy
! Command failed.
= 1
& read r 256 256
| sha256 fe1f9b81926d67c230b378bc681eeac86136f99187b076fb3801d64f3fbc77d5
= 0
$ dmsetup status r
| 0 8192 thin 256 511
= 0
$ dmsetup remove r
= 0
$ dmsetup remove q
= 0
& tool thin_dump D3
| superblock data_block_size=256 flags=0 nr_data_blocks=32 time=0 transaction=0 version=2
| device creation_time=0 dev_id=0 mapped_blocks=1 snap_time=0 transaction=0
| map 1 -> #0 +1 time 0
| exit 0
= 0
