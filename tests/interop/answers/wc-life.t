# SPDX-License-Identifier: BSD-2-Clause
# writecache: what counts, messages in all states, flush_on_suspend, the cleaner
@D0 4MiB byte=0x5a
@D1 1MiB zero
@D2 1MiB zero
$ dmsetup create w --table '0 8192 writecache s @D0 @D1 4096 2 autocommit_time 3600000'
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 254 0 0 0 0 0 0 0 0 0 0 0
= 0
& write w 0 8 0x11
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 253 0 0 0 1 0 0 0 1 0 0 0
= 0
& write w 0 8 0x12
= 0
& write w 8 16 0x13
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 251 0 0 0 4 1 0 0 3 0 0 0
= 0
& read w 0 8
| all 0x12
= 0
& read w 0 64
| sha256 83ebad5ca625ca4139824fb6d3f970b0288c4e0e844d4bfb3b386c867aa68d89
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 251 0 9 4 4 1 0 0 3 0 0 0
= 0
& flush w
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 251 0 9 4 4 1 0 0 3 0 1 0
= 0
& write w 0 8 0x14
= 0
& flush w
= 0
& flush w
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 251 0 9 4 5 1 1 0 3 0 3 0
= 0
& discard w 8 8
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 252 0 9 4 5 1 1 0 3 0 3 1
= 0
& discard w 800 64
= 0
& zeroes w 16 8
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 252 0 9 4 6 1 2 0 3 0 3 9
= 0
& cut D0 0 4096
| all 0x5a
= 0
$ dmsetup message w 0 flush
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 254 0 9 4 6 1 2 0 3 0 3 9
= 0
& cut D0 0 4096
| all 0x14
= 0
& cut D0 0 4194304
| sha256 ae0eae0a0ea737390a2cd2fe97c7eb49efdb7bfab6dcb150117c1763acdb98ec
= 0
$ dmsetup message w 0 FLUSH
= 0
$ dmsetup message w 0 flush now
! device-mapper: message ioctl on w  failed: Invalid argument
! Command failed.
= 1
$ dmsetup message w 0 bogus
! device-mapper: message ioctl on w  failed: Invalid argument
! Command failed.
~ device-mapper: writecache: unrecognised message received: bogus
= 1
$ dmsetup message w 0 clear_stats x
! device-mapper: message ioctl on w  failed: Invalid argument
! Command failed.
= 1
$ dmsetup message w 0 clear_stats
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 254 0 0 0 0 0 0 0 0 0 0 0
= 0
& write w 64 64 0x21
= 0
$ dmsetup suspend w
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 246 0 0 0 8 0 0 0 8 0 0 0
= 0
$ dmsetup message w 0 flush
! device-mapper: message ioctl on w  failed: Device or resource busy
! Command failed.
= 1
$ dmsetup message w 0 clear_stats
= 0
$ dmsetup message w 0 flush_on_suspend
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 246 0 0 0 0 0 0 0 0 0 0 0
= 0
$ dmsetup resume w
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 246 0 0 0 0 0 0 0 0 0 0 0
= 0
& cut D0 32768 32768
| all 0x5a
= 0
$ dmsetup suspend w
= 0
& cut D0 32768 32768
| all 0x21
= 0
$ dmsetup resume w
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 254 0 0 0 0 0 0 0 0 0 0 0
= 0
& write w 64 64 0x22
= 0
$ dmsetup suspend w
= 0
$ dmsetup resume w
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 246 0 0 0 8 0 0 0 8 0 0 0
= 0
& cut D0 32768 32768
| all 0x21
= 0
$ dmsetup message w 0 flush_on_suspend
= 0
$ dmsetup message w 0 flush_on_suspend 1
! device-mapper: message ioctl on w  failed: Invalid argument
! Command failed.
= 1
$ dmsetup remove w
= 0
& cut D0 32768 32768
| all 0x22
= 0
$ dmsetup create w --table '0 8192 writecache s @D0 @D1 4096 0'
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 254 0 0 0 0 0 0 0 0 0 0 0
= 0
& write w 1024 8 0x23
= 0
$ dmsetup message w 0 cleaner
= 0
& write w 1032 8 0x24
= 0
& until w writecache 0 (\d+) \1 0
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 254 0 0 0 2 0 0 1 1 0 0 0
= 0
& read w 1024 16
| sha256 60e13d4332df93cebd07e7eead2441241746f8478796b30e206e417ca63051e8
= 0
& cut D0 524288 8192
| sha256 60e13d4332df93cebd07e7eead2441241746f8478796b30e206e417ca63051e8
= 0
$ dmsetup message w 0 cleaner 1
! device-mapper: message ioctl on w  failed: Invalid argument
! Command failed.
= 1
$ dmsetup table w
| 0 8192 writecache s @D0 @D1 4096 0
= 0
& event w
| 0
= 0
$ dmsetup remove w
= 0
$ dmsetup create w --table '0 8192 writecache s @D0 @D1 4096 1 cleaner'
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 254 0 0 0 0 0 0 0 0 0 0 0
= 0
$ dmsetup table w
| 0 8192 writecache s @D0 @D1 4096 1 cleaner
= 0
& write w 2048 8 0x25
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 254 0 0 0 1 0 0 1 0 0 0 0
= 0
$ dmsetup remove w
= 0
$ dmsetup create w --table '0 8192 writecache s @D0 @D1 4096 1 metadata_only'
= 0
& write w 2048 8 0x26
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 254 0 0 0 1 0 0 1 0 0 0 0
= 0
$ dmsetup load w --table '0 4096 writecache s @D0 @D1 4096 0'
= 0
$ dmsetup suspend w
= 0
$ dmsetup resume w
= 0
$ dmsetup table w
| 0 4096 writecache s @D0 @D1 4096 0
= 0
$ dmsetup status w
| 0 4096 writecache 0 254 254 0 0 0 0 0 0 0 0 0 0 0
= 0
& read w 0 4096
| sha256 6450c854b8bb4cd53c60f70b5d3b4e6d63c85f1393e6790fd6ec3aa4f93ce3ff
= 0
$ dmsetup remove w
= 0
$ dmsetup create w --readonly --table '0 8192 writecache s @D0 @D1 4096 0'
= 0
$ dmsetup status w
| 0 8192 writecache 0 254 254 0 0 0 0 0 0 0 0 0 0 0
= 0
& read w 0 8192
| sha256 0699d64e527ea42a76ea7df0fd3e2129f818cf00cb88f4ff8ec4edceca50b1ee
= 0
$ dmsetup message w 0 flush
= 0
$ dmsetup remove w
= 0
$ dmsetup create w --table '0 8192 writecache s @D0 @D2 512 2 autocommit_time 3600000'
= 0
$ dmsetup status w
| 0 8192 writecache 0 1985 1985 0 0 0 0 0 0 0 0 0 0 0
= 0
& write w 1 7 0x31
= 0
& read w 0 16
| sha256 e498fc4e9f97b5ba2a44234230b16cfb10b31b3c341f95d25f55ab742356ec3e
= 0
$ dmsetup status w
| 0 8192 writecache 0 1985 1978 0 16 7 7 0 0 0 7 0 0 0
= 0
& write w 3 2 0x32
= 0
& discard w 4 9
= 0
& flush w
= 0
$ dmsetup status w
| 0 8192 writecache 0 1985 1982 0 16 7 9 1 0 0 7 0 1 9
= 0
& read w 0 16
| sha256 7822a449bef144731af60417234d95b9497c09ef7694fe7c718e1bf808067553
= 0
$ dmsetup suspend w
= 0
$ dmsetup resume w
= 0
$ dmsetup status w
| 0 8192 writecache 0 1985 1982 0 32 10 9 1 0 0 7 0 1 9
= 0
& read w 0 16
| sha256 7822a449bef144731af60417234d95b9497c09ef7694fe7c718e1bf808067553
= 0
$ dmsetup remove w
= 0
& cut D2 0 1048576
| sha256 8ccfea6e1eedbdad3cd6945c7f8072f2a8355374d40e969bbe976cab49241460
= 0
