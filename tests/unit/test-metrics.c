/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test-metrics.c - status lines as the kernel writes them become the rows that they should, and
 * lines of another kind ("Fail", "Error", a word too few) give none, or what they mean.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/metrics-report.h"

/* What is printed of one device with one line.  To be freed. */
static struct ndm_str print(const char *type, const char *table, const char *status,
			    struct ndm_counters counters)
{
	struct ndm_target_status line = { 0, 2048, type, (char *)(uintptr_t)status };
	struct ndm_target_status table_line = { 0, 2048, type, (char *)(uintptr_t)table };
	struct report_device rd = {
		.info = { .name = "d", .nr = 2048 }, .lines = &line, .nlines = 1,
		.table = &table_line, .ntable = 1, .counters = counters,
	};
	struct report r = { .devices = &rd, .n = 1 };
	struct ndm_str out = { 0 };

	metrics_text(&r, &out);
	return out;
}

static bool has(const struct ndm_str *page, const char *row)
{
	const char *at = strstr(page->text, row);

	return at && (at == page->text || at[-1] == '\n') && at[strlen(row)] == '\n';
}

/* rows: those that must be there; "!NAME": no row of that family may be */
static void check(const char *type, const char *table, const char *status, const char *const *rows)
{
	struct ndm_str page = print(type, table, status, (struct ndm_counters){ 0 });
	char head[128];

	for (; *rows; rows++) {
		snprintf(head, sizeof head, "\n%s", *rows + 1);
		if (**rows == '!' ? !!strstr(page.text, head) : !has(&page, *rows))
			fail_msg("%s: '%s'; there is: %s", status, *rows, page.text);
	}
	ndm_str_free(&page);
}
#define CHECK(type, table, status, ...) \
	check(type, table, status, (const char *const[]){ __VA_ARGS__, NULL })

static void thin_pool(void **state)
{
	(void)state;
	CHECK("thin-pool", "253:0 253:1 128 0 0 ", "7 12/1024 300/5000 - rw discard_passdown "
	      "queue_if_no_space - 1024 ",
	      "ndm_thin_pool_metadata_used_bytes{device=\"d\"} 49152",
	      "ndm_thin_pool_metadata_size_bytes{device=\"d\"} 4194304",
	      "ndm_thin_pool_data_used_bytes{device=\"d\"} 19660800",
	      "ndm_thin_pool_data_size_bytes{device=\"d\"} 327680000",
	      "ndm_thin_pool_mode{device=\"d\",mode=\"rw\"} 1",
	      "ndm_thin_pool_mode{device=\"d\",mode=\"fail\"} 0",
	      "!ndm_cache", "!ndm_raid");
	CHECK("thin-pool", "253:0 253:1 256 0 0 ", "0 1/2 3/4 5 out_of_data_space "
	      "no_discard_passdown error_if_no_space needs_check 1024 ",
	      "ndm_thin_pool_data_used_bytes{device=\"d\"} 393216",
	      "ndm_thin_pool_mode{device=\"d\",mode=\"out_of_data_space\"} 1",
	      "ndm_thin_pool_mode{device=\"d\",mode=\"rw\"} 0");
	CHECK("thin-pool", "253:0 253:1 128 0 0 ", "Fail",
	      "ndm_thin_pool_mode{device=\"d\",mode=\"fail\"} 1", "!ndm_thin_pool_data",
	      "!ndm_thin_pool_metadata");
	CHECK("thin-pool", "253:0 253:1", "0 1/2 3/4 - rw", "!ndm_thin_pool");
	CHECK("thin-pool", "253:0 253:1 128", "0 1/2 x/4 - rw", "!ndm_thin_pool");
}

static void cache(void **state)
{
	(void)state;
	CHECK("cache", "253:0 253:1 253:2 512 1 writethrough smq 0",
	      "8 27/4096 512 10/20 101 102 103 104 5 6 7 1 writethrough 2 migration_threshold 2048 "
	      "smq 0 rw - ",
	      "ndm_cache_hits_total{device=\"d\",op=\"read\"} 101",
	      "ndm_cache_misses_total{device=\"d\",op=\"read\"} 102",
	      "ndm_cache_hits_total{device=\"d\",op=\"write\"} 103",
	      "ndm_cache_misses_total{device=\"d\",op=\"write\"} 104",
	      "ndm_cache_dirty_blocks{device=\"d\"} 7");
	CHECK("cache", "", "Fail", "!ndm_cache");
	CHECK("cache", "", "8 27/4096 512 10/20 101 102 103 104 5 6", "!ndm_cache");
}

static void raid(void **state)
{
	(void)state;
	CHECK("raid", "raid5_ls 1 128 3 - 7:0 - 7:1 - 7:2", "raid5_ls 3 AAA 8192/8192 idle 24 0 -",
	      "ndm_raid_degraded{device=\"d\"} 0", "ndm_raid_sync_ratio{device=\"d\"} 1.000000",
	      "ndm_raid_mismatches{device=\"d\"} 24");
	CHECK("raid", "", "raid1 2 AD 2048/8192 frozen 0 0 -",
	      "ndm_raid_degraded{device=\"d\"} 1", "ndm_raid_sync_ratio{device=\"d\"} 0.250000",
	      "ndm_raid_mismatches{device=\"d\"} 0");
	CHECK("raid", "", "raid1 2 aa 0/8192 resync 0 0 -", "ndm_raid_degraded{device=\"d\"} 0");
	CHECK("mirror", "", "2 253:0 253:1 3/4 1 AD 3 disk 253:2 A",
	      "ndm_raid_degraded{device=\"d\"} 1", "ndm_raid_sync_ratio{device=\"d\"} 0.750000",
	      "!ndm_raid_mismatches");
	CHECK("mirror", "", "2 253:0", "!ndm_raid");
	CHECK("raid", "", "raid1 2", "!ndm_raid");
}

static void others(void **state)
{
	(void)state;
	CHECK("snapshot", "", "24/2048 16", "ndm_snapshot_used_bytes{device=\"d\"} 12288",
	      "ndm_snapshot_size_bytes{device=\"d\"} 1048576", "ndm_snapshot_valid{device=\"d\"} 1");
	CHECK("snapshot-merge", "", "Merge failed", "ndm_snapshot_valid{device=\"d\"} 0",
	      "!ndm_snapshot_used", "!ndm_snapshot_size");
	CHECK("verity", "", "C", "ndm_verity_corrupted{device=\"d\"} 1");
	CHECK("integrity", "", "3 1000 -", "ndm_integrity_mismatches_total{device=\"d\"} 3");
	CHECK("multipath", "", "2 0 0 0 2 1 A 0 1 2 253:1 A 4 1 2 E 0 1 2 253:2 F 9 1 2 ",
	      "ndm_path_up{device=\"d\",path=\"253:1\",group=\"1\"} 1",
	      "ndm_path_up{device=\"d\",path=\"253:2\",group=\"2\"} 0",
	      "ndm_path_failures_total{device=\"d\",path=\"253:2\",group=\"2\"} 9");
}

/* What lines of one table count alike is added up; the rest stays apart. */
static void counters(void **state)
{
	struct ndm_counters list = { 0 };
	struct ndm_str page;

	(void)state;
	ndm_counter_put(&list, NDM_COUNT_FAULTS, "error", 0, 4);
	ndm_counter_put(&list, NDM_COUNT_FAULTS, "drop", 0, 5);
	ndm_counter_put(&list, NDM_COUNT_FAULTS, "error", 0, 6);
	ndm_counter_put(&list, NDM_COUNT_CORRUPTIONS, "", 0, 9);
	ndm_counter_put(&list, NDM_PATH_LATENCY, "8:16", 1, 1500000);
	ndm_counter_put(&list, NDM_PATH_LATENCY, "8:16", 2, 2500000000);
	page = print("linear", "", "", list);
	assert_true(has(&page, "ndm_injected_faults_total{device=\"d\",class=\"error\"} 10"));
	assert_true(has(&page, "ndm_injected_faults_total{device=\"d\",class=\"drop\"} 5"));
	assert_true(has(&page, "ndm_verity_corruptions_total{device=\"d\"} 9"));
	assert_true(has(&page, "ndm_path_latency_seconds{device=\"d\",path=\"8:16\",group=\"1\"} "
			"0.001500000"));
	assert_true(has(&page, "ndm_path_latency_seconds{device=\"d\",path=\"8:16\",group=\"2\"} "
			"2.500000000"));
	ndm_str_free(&page);
	ndm_counters_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thin_pool), cmocka_unit_test(cache), cmocka_unit_test(raid),
		cmocka_unit_test(others), cmocka_unit_test(counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
