#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
# bank.py run DB SYNCHRONOUS ACKED FROM NR - commits rows FROM..FROM+NR-1, one transaction each,
# and notes each in the file ACKED once sqlite says that it is committed.
# bank.py verify DB ACKED - prints "ok" or what is wrong: status 0, or 3 when a commit is missing
# or the database is damaged.
import os, sqlite3, sys


def run(db, synchronous, acked, first, nr):
    c = sqlite3.connect(db, isolation_level=None)
    # with DELETE, FULL does not make the journal's removal durable (EXTRA does): a crash may
    # roll back the last commit
    c.execute('PRAGMA journal_mode=PERSIST')
    c.execute('PRAGMA synchronous=' + synchronous)
    c.execute('CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v TEXT)')
    with open(acked, 'a') as f:
        for i in range(first, first + nr):
            c.execute('INSERT INTO t VALUES(?, ?)', (i, 'row %d ' % i * 40))
            f.write('%d\n' % i)
            f.flush()
    sys.stdout.flush()
    os._exit(0)                 # as a killed process: nothing is closed in order


def verify(db, acked):
    wanted = [int(line) for line in open(acked)] if os.path.exists(acked) else []
    try:
        c = sqlite3.connect(db)
        check = c.execute('PRAGMA integrity_check').fetchone()[0]
        rows = dict(c.execute('SELECT id, v FROM t'))
    except sqlite3.Error as e:
        print('damaged: %s; %d acknowledged commits' % (e, len(wanted)))
        return 3
    missing = [i for i in wanted if rows.get(i) != 'row %d ' % i * 40]
    if check != 'ok' or missing:
        print('integrity %s; %d of %d acknowledged commits missing'
              % (check.splitlines()[0], len(missing), len(wanted)))
        return 3
    print('ok: %d acknowledged commits present, 0 missing' % len(wanted))
    return 0


if sys.argv[1] == 'run':
    run(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))
else:
    sys.exit(verify(sys.argv[2], sys.argv[3]))
