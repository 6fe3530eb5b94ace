# SPDX-License-Identifier: BSD-2-Clause
# writecache: watermarks, a cache that is full, autocommit, max_age
@D0 8MiB byte=0x5a
@D1 256KiB zero
@D2 1MiB zero
$ dmsetup create w --table '0 16384 writecache s @D0 @D1 4096 6 high_watermark 100 low_watermark 0 autocommit_time 3600000'
= 0
$ dmsetup status w
| 0 16384 writecache 0 63 63 0 0 0 0 0 0 0 0 0 0 0
= 0
& write w 0 256 0x11
= 0
$ dmsetup status w
| 0 16384 writecache 0 63 31 0 0 0 32 0 0 0 32 0 0 0
= 0
& write w 256 256 0x12
= 0
& flush w
= 0
& write w 1024 2048 0x13
= 0
$ dmsetup message w 0 flush
= 0
$ dmsetup status w | cut -d' ' -f1-8
| 0 16384 writecache 0 63 63 0 0
= 0
& read w 0 16384
| sha256 4367546a19c58406d4bb11fc8087680039c993138904d54e997ab88e9a7af75f
= 0
& cut D0 0 8388608
| sha256 4367546a19c58406d4bb11fc8087680039c993138904d54e997ab88e9a7af75f
= 0
$ dmsetup remove w
= 0
$ dmsetup create w --table '0 16384 writecache s @D0 @D2 4096 4 max_age 500 autocommit_time 100'
= 0
& write w 0 8 0x21
= 0
& write w 4096 8 0x22
= 0
& until w writecache 0 (\d+) \1 0
= 0
$ dmsetup status w
| 0 16384 writecache 0 254 254 0 0 0 2 0 0 0 2 0 0 0
= 0
& cut D0 0 4096
| all 0x21
= 0
$ dmsetup remove w
= 0
$ dmsetup create w --table '0 16384 writecache s @D0 @D2 4096 4 high_watermark 10 low_watermark 5'
= 0
& write w 0 800 0x23
= 0
& write w 800 800 0x24
= 0
& flush w
= 0
& until w writecache 0 254 2[0-9]* 0
= 0
$ dmsetup status w | cut -d' ' -f4-7
| 0 254 254 0
= 0
& read w 0 16384
| sha256 99e3f874353de9403faac685389301fb924f765c4cd17dccad532bfc4631134e
= 0
$ dmsetup remove w
= 0
$ dmsetup create d --table '0 16384 linear @D0 0'
= 0
$ dmsetup create k --table '0 2048 linear @D2 0'
= 0
$ dmsetup create w --table '0 16384 writecache s /dev/mapper/d /dev/mapper/k 4096 2 autocommit_time 3600000'
= 0
& write w 0 64 0x31
= 0
& flush w
= 0
$ dmsetup load k --table '0 2048 error'
= 0
$ dmsetup suspend --noflush k
= 0
$ dmsetup resume k
= 0
& write w 64 8 0x32
= EIO
& flush w
~ device-mapper: writecache: error writing metadata
= EIO
$ dmsetup status w | cut -d' ' -f1-4
| 0 16384 writecache 1
= 0
& read w 0 8
= EIO
& read w 8192 8
| all 0x5a
= 0
& write w 8192 8 0x33
= EIO
& discard w 8192 8
= EIO
$ dmsetup message w 0 flush
! device-mapper: message ioctl on w  failed: Input/output error
! Command failed.
= 1
$ dmsetup message w 0 clear_stats
= 0
$ dmsetup message w 0 cleaner
= 0
$ dmsetup suspend w
= 0
$ dmsetup resume w
= 0
$ dmsetup status w | cut -d' ' -f1-4
| 0 16384 writecache 1
= 0
$ dmsetup remove w
= 0
$ dmsetup remove k
= 0
$ dmsetup create k --table '0 2048 linear @D2 0'
= 0
$ dmsetup create w --table '0 16384 writecache s /dev/mapper/d /dev/mapper/k 4096 2 autocommit_time 3600000'
= 0
& read w 0 128
| sha256 17034d790d938f95d786f174412a2d62e32ad01a1040b2d731953beaa0fb2d91
= 0
& write w 0 64 0x34
= 0
& flush w
= 0
$ dmsetup load d --table '0 16384 error'
= 0
$ dmsetup suspend --noflush d
= 0
$ dmsetup resume d
= 0
$ dmsetup message w 0 flush
! device-mapper: message ioctl on w  failed: Input/output error
! Command failed.
~ device-mapper: writecache: copy error
= 1
$ dmsetup status w | cut -d' ' -f1-4
| 0 16384 writecache 1
= 0
& read w 0 8
| all 0x34
= 0
& read w 8192 8
= EIO
$ dmsetup remove w
= 0
$ dmsetup remove d
= 0
$ dmsetup remove k
= 0
