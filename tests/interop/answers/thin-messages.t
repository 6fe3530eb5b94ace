# SPDX-License-Identifier: BSD-2-Clause
# thin-pool: messages, good and bad, in all states
@D0 1MiB zero
@D1 8MiB byte=0x5a
$ dmsetup create p --table '0 16384 thin-pool @D0 @D1 128 0'
= 0
$ dmsetup status p | sed 's#\(/[0-9]* \)[0-9][0-9]* r#\1H r#'
| 0 16384 thin-pool 0 34/256 0/128 - rw discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup message p 0 create_thin
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with 1 arguments instead of 2.
= 1
$ dmsetup message p 0 create_thin 1 2
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with 3 arguments instead of 2.
= 1
$ dmsetup message p 0 create_thin x
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with invalid device id: x
= 1
$ dmsetup message p 0 create_thin -1
! dmsetup: invalid option -- '1'
! Couldn't process command line.
= 1
$ dmsetup message p 0 create_thin 16777216
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with invalid device id: 16777216
= 1
$ dmsetup message p 0 create_thin 0x1
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with invalid device id: 0x1
= 1
$ dmsetup message p 0 create_thin 16777215
= 0
$ dmsetup message p 0 CREATE_thin +1
= 0
$ dmsetup message p 0 create_thin 1
! device-mapper: message ioctl on p  failed: File exists
! Command failed.
~ device-mapper: thin: Creation of new thinly-provisioned device with id 1 failed.
= 1
$ dmsetup message p 0 create_snap 2
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with 2 arguments instead of 3.
= 1
$ dmsetup message p 0 create_snap 2 9
! device-mapper: message ioctl on p  failed: No data available
! Command failed.
~ device-mapper: thin: Creation of new snapshot 2 of device 9 failed.
= 1
$ dmsetup message p 0 create_snap 1 1
! device-mapper: message ioctl on p  failed: File exists
! Command failed.
~ device-mapper: thin: Creation of new snapshot 1 of device 1 failed.
= 1
$ dmsetup message p 0 create_snap x 1
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with invalid device id: x
= 1
$ dmsetup message p 0 create_snap 2 x
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with invalid device id: x
= 1
$ dmsetup message p 0 create_snap 2 1
= 0
$ dmsetup message p 0 create_snap 2 1
! device-mapper: message ioctl on p  failed: File exists
! Command failed.
~ device-mapper: thin: Creation of new snapshot 2 of device 1 failed.
= 1
$ dmsetup message p 0 delete
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with 1 arguments instead of 2.
= 1
$ dmsetup message p 0 delete x
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with invalid device id: x
= 1
$ dmsetup message p 0 delete 77
! device-mapper: message ioctl on p  failed: No data available
! Command failed.
~ device-mapper: thin: Deletion of thin device 77 failed.
= 1
$ dmsetup message p 0 set_transaction_id 0
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with 2 arguments instead of 3.
= 1
$ dmsetup message p 0 set_transaction_id x 1
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: set_transaction_id message: Unrecognised id x.
= 1
$ dmsetup message p 0 set_transaction_id 0 x
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: set_transaction_id message: Unrecognised new id x.
= 1
$ dmsetup message p 0 set_transaction_id 1 2
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin metadata: mismatched transaction id
~ device-mapper: thin: Failed to change transaction id from 1 to 2.
= 1
$ dmsetup message p 0 set_transaction_id 0 18446744073709551615
= 0
$ dmsetup status p | sed 's#\(/[0-9]* \)[0-9][0-9]* r#\1H r#'
| 0 16384 thin-pool 18446744073709551615 36/256 0/128 - rw discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup message p 0 set_transaction_id 18446744073709551615 5
= 0
$ dmsetup message p 0 reserve_metadata_snap x
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with 2 arguments instead of 1.
= 1
$ dmsetup message p 0 release_metadata_snap
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin metadata: No pool metadata snapshot found: nothing to release.
~ device-mapper: thin: release_metadata_snap message failed.
= 1
$ dmsetup message p 0 reserve_metadata_snap
= 0
$ dmsetup message p 0 reserve_metadata_snap
! device-mapper: message ioctl on p  failed: Device or resource busy
! Command failed.
~ device-mapper: thin metadata: Pool metadata snapshot already exists: release this before taking another.
~ device-mapper: thin: reserve_metadata_snap message failed.
= 1
$ dmsetup status p | sed 's#\(/[0-9]* \)[0-9][0-9]* r#\1H r#'
| 0 16384 thin-pool 5 37/256 0/128 H rw discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup message p 0 release_metadata_snap x
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Message received with 2 arguments instead of 1.
= 1
$ dmsetup message p 0 bogus
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Unrecognised thin pool target message received: bogus
= 1
$ dmsetup message p 0 trim 1
! device-mapper: message ioctl on p  failed: Invalid argument
! Command failed.
~ device-mapper: thin: Unrecognised thin pool target message received: trim
= 1
$ dmsetup message p 1 create_thin 5
= 0
$ dmsetup create h --table '0 1024 thin /dev/mapper/p 1'
= 0
$ dmsetup message h 0 anything
! device-mapper: message ioctl on h  failed: Invalid argument
! Command failed.
~ device-mapper: ioctl: Target type does not support messages
= 1
$ dmsetup message p 0 delete 1
! device-mapper: message ioctl on p  failed: Device or resource busy
! Command failed.
~ device-mapper: thin: Deletion of thin device 1 failed.
= 1
$ dmsetup status p h | sed 's#\(/[0-9]* \)[0-9][0-9]* r#\1H r#'
| p: 0 16384 thin-pool 5 40/256 0/128 H rw discard_passdown queue_if_no_space - 64 
| h: 0 1024 thin 0 -
= 0
$ dmsetup status h
| 0 1024 thin 0 -
= 0
$ dmsetup status p | sed 's#\(/[0-9]* \)[0-9][0-9]* r#\1H r#'
| 0 16384 thin-pool 5 40/256 0/128 H rw discard_passdown queue_if_no_space - 64 
= 0
& event p
| 0
= 0
& event h
| 0
= 0
$ dmsetup suspend h
= 0
$ dmsetup suspend p
= 0
$ dmsetup status p | sed 's#\(/[0-9]* \)[0-9][0-9]* r#\1H r#'
| 0 16384 thin-pool 5 40/256 0/128 H rw discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup message p 0 create_thin 3
= 0
$ dmsetup message p 0 create_snap 4 1
= 0
$ dmsetup message p 0 delete 2
= 0
$ dmsetup message p 0 set_transaction_id 5 6
= 0
$ dmsetup message p 0 release_metadata_snap
= 0
$ dmsetup message p 0 reserve_metadata_snap
= 0
$ dmsetup status p | sed 's#\(/[0-9]* \)[0-9][0-9]* r#\1H r#'
| 0 16384 thin-pool 6 39/256 0/128 H rw discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup resume p
= 0
$ dmsetup resume h
= 0
$ dmsetup message p 0 delete 1
! device-mapper: message ioctl on p  failed: Device or resource busy
! Command failed.
~ device-mapper: thin: Deletion of thin device 1 failed.
= 1
$ dmsetup remove p
! device-mapper: remove ioctl on p  failed: Device or resource busy
! Command failed.
= 1
$ dmsetup remove h
= 0
$ dmsetup message p 0 delete 1
= 0
$ dmsetup status p | sed 's#\(/[0-9]* \)[0-9][0-9]* r#\1H r#'
| 0 16384 thin-pool 6 41/256 0/128 H rw discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup load p --table '0 16384 thin-pool @D0 @D1 128 0 1 read_only'
= 0
$ dmsetup suspend p
= 0
$ dmsetup resume p
~ device-mapper: thin: @MAJ:@MIN: switching pool to read-only mode
= 0
$ dmsetup status p | sed 's#\(/[0-9]* \)[0-9][0-9]* r#\1H r#'
| 0 16384 thin-pool 6 41/256 0/128 H ro discard_passdown queue_if_no_space - 64 
= 0
$ dmsetup table p
| 0 16384 thin-pool @D0 @D1 128 0 1 read_only 
= 0
$ dmsetup message p 0 create_thin 9
! device-mapper: message ioctl on p  failed: Operation not supported
! Command failed.
~ device-mapper: thin: @MAJ:@MIN: unable to service pool target messages in READ_ONLY or FAIL mode
= 1
$ dmsetup message p 0 bogus
! device-mapper: message ioctl on p  failed: Operation not supported
! Command failed.
~ device-mapper: thin: @MAJ:@MIN: unable to service pool target messages in READ_ONLY or FAIL mode
= 1
$ dmsetup message p 0 release_metadata_snap
! device-mapper: message ioctl on p  failed: Operation not supported
! Command failed.
~ device-mapper: thin: @MAJ:@MIN: unable to service pool target messages in READ_ONLY or FAIL mode
= 1
$ dmsetup create h --table '0 1024 thin /dev/mapper/p 4'
= 0
& write h 0 8 0x11
= EIO
& read h 0 8
| all 0x00
= 0
$ dmsetup status h
| 0 1024 thin 0 -
= 0
$ dmsetup remove h
= 0
$ dmsetup load p --table '0 16384 thin-pool @D0 @D1 128 0 1 error_if_no_space'
= 0
$ dmsetup suspend p
= 0
$ dmsetup resume p
~ device-mapper: thin: @MAJ:@MIN: switching pool to write mode
= 0
$ dmsetup status p | sed 's#\(/[0-9]* \)[0-9][0-9]* r#\1H r#'
| 0 16384 thin-pool 6 41/256 0/128 H rw discard_passdown error_if_no_space - 64 
= 0
$ dmsetup create h --table '0 1024 thin /dev/mapper/p 4'
= 0
& write h 0 8 0x11
= 0
& discard h 128 128
= 0
$ dmsetup status h
| 0 1024 thin 128 127
= 0
$ dmsetup remove h
= 0
$ dmsetup message p 0 release_metadata_snap
= 0
$ dmsetup remove p
= 0
& tool thin_check D0
| exit 0
= 0
& tool thin_dump D0
| superblock data_block_size=128 flags=0 nr_data_blocks=128 time=2 transaction=6 version=2
| device creation_time=1 dev_id=3 mapped_blocks=0 snap_time=1 transaction=5
| device creation_time=2 dev_id=4 mapped_blocks=1 snap_time=2 transaction=5
| map 0 -> #0 +1 time 2
| device creation_time=1 dev_id=5 mapped_blocks=0 snap_time=1 transaction=5
| device creation_time=0 dev_id=16777215 mapped_blocks=0 snap_time=0 transaction=0
| exit 0
= 0
