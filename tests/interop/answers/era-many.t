# SPDX-License-Identifier: BSD-2-Clause
# era: many eras before a digest, a large device
@D0 4MiB zero
@D1 64MiB zero
$ dmsetup create e --table '0 131072 era @D0 @D1 8'
= 0
$ for i in 1 2 3 4 5 6 7 8 9 10 11 12; do dmsetup message e 0 checkpoint; done
= 0
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 131072 era 8 N/1024 13 -
= 0
& write e 0 8 1
= 0
$ dmsetup message e 0 checkpoint
= 0
& write e 100000 8 1
= 0
$ dmsetup message e 0 checkpoint
= 0
& write e 131064 8 1
= 0
$ dmsetup message e 0 checkpoint
= 0
& write e 65536 800 1
= 0
& sleep 1
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 131072 era 8 N/1024 16 -
= 0
& sleep 1
$ dmsetup status e | sed 's#[0-9]*/\([0-9]* [0-9]*\) [0-9]*$#N/\1 SNAP#; s#[0-9]*/\([0-9]* [0-9]* -\)#N/\1#'
| 0 131072 era 8 N/1024 16 -
= 0
$ dmsetup remove e
= 0
& tool era_check D0
| exit 0
= 0
& tool era_dump D0
| <superblock uuid="" block_size="8" nr_blocks="16384" current_era="16">
| <writeset era="16" nr_bits="16384">
| <bit block="8192" value="true" />
| <bit block="8193" value="true" />
| <bit block="8194" value="true" />
| <bit block="8195" value="true" />
| <bit block="8196" value="true" />
| <bit block="8197" value="true" />
| <bit block="8198" value="true" />
| <bit block="8199" value="true" />
| <bit block="8200" value="true" />
| <bit block="8201" value="true" />
| <bit block="8202" value="true" />
| <bit block="8203" value="true" />
| <bit block="8204" value="true" />
| <bit block="8205" value="true" />
| <bit block="8206" value="true" />
| <bit block="8207" value="true" />
| <bit block="8208" value="true" />
| <bit block="8209" value="true" />
| <bit block="8210" value="true" />
| <bit block="8211" value="true" />
| <bit block="8212" value="true" />
| <bit block="8213" value="true" />
| <bit block="8214" value="true" />
| <bit block="8215" value="true" />
| <bit block="8216" value="true" />
| <bit block="8217" value="true" />
| <bit block="8218" value="true" />
| <bit block="8219" value="true" />
| <bit block="8220" value="true" />
| <bit block="8221" value="true" />
| <bit block="8222" value="true" />
| <bit block="8223" value="true" />
| <bit block="8224" value="true" />
| <bit block="8225" value="true" />
| <bit block="8226" value="true" />
| <bit block="8227" value="true" />
| <bit block="8228" value="true" />
| <bit block="8229" value="true" />
| <bit block="8230" value="true" />
| <bit block="8231" value="true" />
| <bit block="8232" value="true" />
| <bit block="8233" value="true" />
| <bit block="8234" value="true" />
| <bit block="8235" value="true" />
| <bit block="8236" value="true" />
| <bit block="8237" value="true" />
| <bit block="8238" value="true" />
| <bit block="8239" value="true" />
| <bit block="8240" value="true" />
| <bit block="8241" value="true" />
| <bit block="8242" value="true" />
| <bit block="8243" value="true" />
| <bit block="8244" value="true" />
| <bit block="8245" value="true" />
| <bit block="8246" value="true" />
| <bit block="8247" value="true" />
| <bit block="8248" value="true" />
| <bit block="8249" value="true" />
| <bit block="8250" value="true" />
| <bit block="8251" value="true" />
| <bit block="8252" value="true" />
| <bit block="8253" value="true" />
| <bit block="8254" value="true" />
| <bit block="8255" value="true" />
| <bit block="8256" value="true" />
| <bit block="8257" value="true" />
| <bit block="8258" value="true" />
| <bit block="8259" value="true" />
| <bit block="8260" value="true" />
| <bit block="8261" value="true" />
| <bit block="8262" value="true" />
| <bit block="8263" value="true" />
| <bit block="8264" value="true" />
| <bit block="8265" value="true" />
| <bit block="8266" value="true" />
| <bit block="8267" value="true" />
| <bit block="8268" value="true" />
| <bit block="8269" value="true" />
| <bit block="8270" value="true" />
| <bit block="8271" value="true" />
| <bit block="8272" value="true" />
| <bit block="8273" value="true" />
| <bit block="8274" value="true" />
| <bit block="8275" value="true" />
| <bit block="8276" value="true" />
| <bit block="8277" value="true" />
| <bit block="8278" value="true" />
| <bit block="8279" value="true" />
| <bit block="8280" value="true" />
| <bit block="8281" value="true" />
| <bit block="8282" value="true" />
| <bit block="8283" value="true" />
| <bit block="8284" value="true" />
| <bit block="8285" value="true" />
| <bit block="8286" value="true" />
| <bit block="8287" value="true" />
| <bit block="8288" value="true" />
| <bit block="8289" value="true" />
| <bit block="8290" value="true" />
| <bit block="8291" value="true" />
| </writeset>
| <era_array>
| <era block="0" era="13" />
| <era block="12500" era="14" />
| <era block="16383" era="15" />
| </era_array>
| </superblock>
| exit 0
= 0
