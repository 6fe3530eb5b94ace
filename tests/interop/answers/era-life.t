# SPDX-License-Identifier: BSD-2-Clause
# era: messages in all states, metadata snapshots, sizes
@D0 1MiB zero
@D1 4MiB byte=0x5a
@D2 1MiB zero
$ dmsetup create e --table '0 4096 era @D0 @D1 64'
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 4096 era 8 N/256 1 -
= 0
$ dmsetup status --noflush e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 4096 era 8 N/256 1 -
= 0
& write e 0 8 0x11
= 0
& write e 64 128 0x12
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 4096 era 8 N/256 1 -
= 0
$ dmsetup message e 0 checkpoint
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 4096 era 8 N/256 2 -
= 0
& write e 1024 8 0x13
= 0
& write e 0 8 0x14
= 0
$ dmsetup message e 0 CHECKPOINT
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 4096 era 8 N/256 3 -
= 0
& discard e 2048 256
= 0
& zeroes e 2560 64
= 0
& flush e
= 0
$ dmsetup message e 0 take_metadata_snap
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 4096 era 8 N/256 4 SNAP
= 0
$ dmsetup message e 0 take_metadata_snap
! device-mapper: message ioctl on e  failed: Invalid argument
! Command failed.
~ device-mapper: era: metadata_take_snap: metadata snapshot already exists
= 1
$ dmsetup message e 0 checkpoint now
! device-mapper: message ioctl on e  failed: Invalid argument
! Command failed.
~ device-mapper: era: incorrect number of message arguments
= 1
$ dmsetup message e 0 take_metadata_snap x
! device-mapper: message ioctl on e  failed: Invalid argument
! Command failed.
~ device-mapper: era: incorrect number of message arguments
= 1
$ dmsetup message e 0 drop
! device-mapper: message ioctl on e  failed: Invalid argument
! Command failed.
~ device-mapper: era: unsupported message 'drop'
= 1
$ dmsetup message e 1 checkpoint
= 0
$ dmsetup message e 9999 checkpoint
! device-mapper: message ioctl on e  failed: Invalid argument
! Command failed.
~ device-mapper: ioctl: Target message sector outside device.
= 1
& write e 3000 8 0x15
= 0
$ dmsetup message e 0 drop_metadata_snap
= 0
$ dmsetup message e 0 drop_metadata_snap
! device-mapper: message ioctl on e  failed: Invalid argument
! Command failed.
~ device-mapper: era: metadata_drop_snap: no snap to drop
= 1
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 4096 era 8 N/256 5 -
= 0
& event e
| 0
= 0
$ dmsetup suspend e
= 0
$ dmsetup table e
| 0 4096 era @D0 @D1 64
= 0
$ dmsetup resume e
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 4096 era 8 N/256 6 -
= 0
$ dmsetup load e --table '0 8192 era @D0 @D1 64'
= 0
$ dmsetup suspend e
= 0
$ dmsetup resume e
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 8192 era 8 N/256 7 -
= 0
& write e 8000 100 0x16
= 0
$ dmsetup message e 0 checkpoint
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 8192 era 8 N/256 8 -
= 0
& sleep 0.5
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 8192 era 8 N/256 8 -
= 0
& read e 8000 100
| all 0x16
= 0
& read e 0 8192
| sha256 a60f2b79abafa14bb96e652d085097e164fa9f6b0fbee3096723b6ba8dface08
= 0
$ dmsetup remove e
= 0
& tool era_check D0
| exit 0
= 0
& tool era_dump D0
| <superblock uuid="" block_size="64" nr_blocks="128" current_era="8">
| <writeset era="8" nr_bits="128">
| </writeset>
| <era_array>
| <era block="0" era="2" />
| <era block="1" era="1" />
| <era block="2" era="1" />
| <era block="16" era="2" />
| <era block="32" era="3" />
| <era block="40" era="3" />
| <era block="46" era="5" />
| <era block="125" era="7" />
| <era block="126" era="7" />
| </era_array>
| </superblock>
| exit 0
= 0
& cut D1 0 4194304
| sha256 a60f2b79abafa14bb96e652d085097e164fa9f6b0fbee3096723b6ba8dface08
= 0
$ dmsetup create e --table '0 2048 era @D0 @D1 64'
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 2048 era 8 N/256 9 -
= 0
& write e 2040 8 0x17
= 0
$ dmsetup remove e
= 0
& tool era_check D0
| exit 0
= 0
& tool era_dump D0
| <superblock uuid="" block_size="64" nr_blocks="32" current_era="9">
| <writeset era="9" nr_bits="32">
| <bit block="31" value="true" />
| </writeset>
| <era_array>
| <era block="0" era="2" />
| <era block="1" era="1" />
| <era block="2" era="1" />
| <era block="16" era="2" />
| </era_array>
| </superblock>
| exit 0
= 0
$ dmsetup create e --readonly --table '0 2048 era @D0 @D1 64'
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 2048 era 8 N/256 10 -
= 0
$ dmsetup message e 0 checkpoint
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 2048 era 8 N/256 11 -
= 0
& read e 0 64
| sha256 f36f45f371a7cd4967085cd90810950c2180c865319760e1b9f836e7c8ca3b32
= 0
$ dmsetup remove e
= 0
& tool era_dump D0
| <superblock uuid="" block_size="64" nr_blocks="32" current_era="11">
| <writeset era="11" nr_bits="32">
| </writeset>
| <era_array>
| <era block="0" era="2" />
| <era block="1" era="1" />
| <era block="2" era="1" />
| <era block="16" era="2" />
| <era block="31" era="9" />
| </era_array>
| </superblock>
| exit 0
= 0
$ dmsetup create e --table '0 8192 era @D0 @D1 64'
= 0
$ dmsetup message e 0 take_metadata_snap
= 0
& write e 0 8 0x18
= 0
$ dmsetup message e 0 checkpoint
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 8192 era 8 N/256 14 SNAP
= 0
$ dmsetup remove e
= 0
& tool era_check D0
| exit 0
= 0
& tool era_dump D0
| <superblock uuid="" block_size="64" nr_blocks="128" current_era="14">
| <writeset era="14" nr_bits="128">
| </writeset>
| <era_array>
| <era block="0" era="13" />
| <era block="1" era="1" />
| <era block="2" era="1" />
| <era block="16" era="2" />
| <era block="31" era="9" />
| </era_array>
| </superblock>
| exit 0
= 0
$ dmsetup create e --table '0 8192 era @D0 @D1 64'
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 8192 era 8 N/256 15 SNAP
= 0
$ dmsetup message e 0 drop_metadata_snap
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 8192 era 8 N/256 15 -
= 0
$ dmsetup remove e
= 0
& tool era_check D0
| exit 0
= 0
& tool era_dump D0
| <superblock uuid="" block_size="64" nr_blocks="128" current_era="15">
| <writeset era="15" nr_bits="128">
| </writeset>
| <era_array>
| <era block="0" era="13" />
| <era block="1" era="1" />
| <era block="2" era="1" />
| <era block="16" era="2" />
| <era block="31" era="9" />
| </era_array>
| </superblock>
| exit 0
= 0
$ dmsetup create e --table '0 1000 era @D2 @D1 24' '1000 100 zero'
= 0
$ dmsetup create e --table '0 1000 era @D2 @D1 24'
! device-mapper: create ioctl on e  failed: Device or resource busy
! Command failed.
= 1
& write e 990 10 0x19
= 0
& write e 20 10 0x20
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 1000 era 8 N/256 1 -
= 0
$ dmsetup remove e
= 0
& tool era_dump D2
| <superblock uuid="" block_size="24" nr_blocks="42" current_era="1">
| <writeset era="1" nr_bits="42">
| <bit block="0" value="true" />
| <bit block="1" value="true" />
| <bit block="41" value="true" />
| </writeset>
| <era_array>
| </era_array>
| </superblock>
| exit 0
= 0
