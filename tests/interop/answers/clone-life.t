# SPDX-License-Identifier: BSD-2-Clause
# clone: messages, I/O, hydration, suspended, read-only, ended
@D0 1MiB zero
@D1 4MiB byte=0x5a
@D2 4MiB counter
@D3 1MiB zero
$ dmsetup create c --table '0 8192 clone @D0 @D1 @D2 64 1 no_hydration'
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 0/128 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
$ dmsetup table c
| 0 8192 clone @D0 @D1 @D2 64 1 no_hydration
= 0
& read c 0 8192
| sha256 4253ccbca165242bff13d5ea5b0e2cc4368ee268c4cc182b0807f4e55f207443
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 0/128 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
& write c 8 8 0x11
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 1/128 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
& write c 128 64 0x12
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 2/128 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
& read c 0 256
| sha256 f0707e3a8ff7cbd1ede82c565e885eba83d6b6d06f68f44754b864b07b757535
= 0
& discard c 256 64
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 3/128 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
& discard c 330 200
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 5/128 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
& zeroes c 1024 64
= 0
& zeroes c 1100 10
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 7/128 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
& flush c
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 7/128 0 1 no_hydration 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
$ dmsetup message c 0 hydration_threshold
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
= 1
$ dmsetup message c 0 hydration_threshold x
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
= 1
$ dmsetup message c 0 hydration_threshold -1
! dmsetup: invalid option -- '1'
! Couldn't process command line.
= 1
$ dmsetup message c 0 hydration_threshold 5 6
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
= 1
$ dmsetup message c 0 hydration_threshold 16
= 0
$ dmsetup message c 0 hydration_batch_size 4294967296
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
= 1
$ dmsetup message c 0 HYDRATION_batch_size 8
= 0
$ dmsetup message c 0 bogus
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
= 1
$ dmsetup message c 0 bogus 1
! device-mapper: message ioctl on c  failed: Invalid argument
! Command failed.
~ device-mapper: clone: @MAJ:@MIN: Unsupported message `bogus'
= 1
$ dmsetup message c 0 disable_hydration now
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 7/128 0 1 no_hydration 4 hydration_threshold 16 hydration_batch_size 8 rw
= 0
$ dmsetup message c 0 enable_hydration
= 0
& until c 128/128 0
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 128/128 0 0 4 hydration_threshold 16 hydration_batch_size 8 rw
= 0
& event c
| 1
= 0
$ dmsetup message c 0 disable_hydration
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 128/128 0 1 no_hydration 4 hydration_threshold 16 hydration_batch_size 8 rw
= 0
$ dmsetup table c
| 0 8192 clone @D0 @D1 @D2 64 1 no_hydration
= 0
& read c 0 8192
| sha256 3685e2217e051af43b0e6a0a80c644bc896a7a7d518044779cdaddf01d3770a1
= 0
$ dmsetup suspend c
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 128/128 0 1 no_hydration 4 hydration_threshold 16 hydration_batch_size 8 rw
= 0
$ dmsetup message c 0 hydration_threshold 3
= 0
$ dmsetup message c 0 enable_hydration
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 128/128 0 0 4 hydration_threshold 3 hydration_batch_size 8 rw
= 0
$ dmsetup resume c
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 128/128 0 0 4 hydration_threshold 3 hydration_batch_size 8 rw
= 0
$ dmsetup load c --table '0 8192 linear @D1 0'
= 0
$ dmsetup suspend c
= 0
$ dmsetup resume c
= 0
& read c 0 8192
| sha256 3685e2217e051af43b0e6a0a80c644bc896a7a7d518044779cdaddf01d3770a1
= 0
$ dmsetup remove c
= 0
& cut D2 0 4194304
| sha256 4253ccbca165242bff13d5ea5b0e2cc4368ee268c4cc182b0807f4e55f207443
= 0
$ dmsetup create c --table '0 8192 clone @D0 @D1 @D2 64'
= 0
$ dmsetup status c
| 0 8192 clone 8 6/256 64 128/128 0 0 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
& event c
| -1
= 0
$ dmsetup remove c
= 0
$ dmsetup create c --table '0 8000 clone @D3 @D1 @D2 512 1 no_discard_passdown 2 hydration_batch_size 4'
= 0
& until c 16/16 0
= 0
$ dmsetup status c
| 0 8000 clone 8 6/256 512 16/16 0 1 no_discard_passdown 4 hydration_threshold 1 hydration_batch_size 4 rw
= 0
$ dmsetup table c
| 0 8000 clone @D3 @D1 @D2 512 1 no_discard_passdown 2 hydration_batch_size 4
= 0
& event c
| 1
= 0
& read c 0 8000
| sha256 df13a5fd38eca66c898b15d8d7a4ad48d0f7e096c2d09da1be23c2a35a1dc3ea
= 0
& discard c 0 8000
= 0
& read c 0 8000
| sha256 df13a5fd38eca66c898b15d8d7a4ad48d0f7e096c2d09da1be23c2a35a1dc3ea
= 0
$ dmsetup remove c
= 0
$ dmsetup create c --readonly --table '0 8000 clone @D3 @D1 @D2 512 1 no_discard_passdown'
= 0
$ dmsetup status c
| 0 8000 clone 8 6/256 512 16/16 0 1 no_discard_passdown 4 hydration_threshold 1 hydration_batch_size 1 rw
= 0
& read c 0 8
| sha256 ee456fa85922654348905bf208f24ee290d51a4b497aa80cb1366dd791612396
= 0
$ dmsetup remove c
= 0
