// Calls a running server through the SDK that is generated from openapi.yaml, and compares each answer with a file.
//
//   HARMONT_API_URL=… HARMONT_TOKEN=… node build/check.js EXPECTED.json
//
// The file is a list of {org, call, from?, to?, want}. For each organization in it the ledger is walked as well.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import process from "node:process";

import { client } from "./sdk/client.gen.js";
import {
  getBillingBalance,
  getBillingUsage,
  getBillingUsageBreakdown,
  getBillingUsageSeries,
  listBillingTransactions,
} from "./sdk/index.js";

type Expectation = { org: string; want: unknown } & (
  | { call: "balance" }
  | { call: "usage" | "usage/series" | "usage/breakdown"; from: string; to: string }
);

async function answer(e: Expectation): Promise<unknown> {
  const path = { org: e.org };
  if (e.call === "balance") {
    return (await getBillingBalance({ path, throwOnError: true })).data;
  }
  const options = { path, query: { from: e.from, to: e.to }, throwOnError: true } as const;
  switch (e.call) {
    case "usage":
      return (await getBillingUsage(options)).data;
    case "usage/series":
      return (await getBillingUsageSeries(options)).data;
    case "usage/breakdown":
      return (await getBillingUsageBreakdown(options)).data;
    default:
      throw new Error(`the file names an unknown call: ${JSON.stringify(e)}`);
  }
}

// Every entry once, newest first, and together the balance.
async function walkLedger(org: string): Promise<void> {
  const ids = new Set<string>();
  let sum = 0;
  let newest = "9999";
  let cursor: string | undefined;
  do {
    const { data: page } = await listBillingTransactions({
      path: { org },
      query: { limit: 100, cursor },
      throwOnError: true,
    });
    for (const entry of page.data) {
      assert(!ids.has(entry.id), `the entry ${entry.id} comes twice`);
      // Timestamps all have one form and one zone, so their order is that of their text.
      assert(entry.created_at <= newest, `the entry ${entry.id} is newer than the one before it`);
      ids.add(entry.id);
      newest = entry.created_at;
      sum += entry.amount_cents;
    }
    // A page that adds nothing and yet has a next one would go on for ever.
    assert(page.data.length > 0 || page.next_cursor === null, "an empty page has a next one");
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
  const { data } = await getBillingBalance({ path: { org }, throwOnError: true });
  assert.equal(sum, data.balance_cents, `the balance is not the sum of the ${ids.size} entries`);
}

const { HARMONT_API_URL: baseUrl, HARMONT_TOKEN: auth } = process.env;
const file = process.argv[2];
if (!baseUrl || !auth || !file) {
  console.error("usage: HARMONT_API_URL=… HARMONT_TOKEN=… node build/check.js EXPECTED.json");
  process.exit(2);
}
client.setConfig({ baseUrl, auth });

const expected: Expectation[] = JSON.parse(await readFile(file, "utf8"));
assert(expected.length > 0, `${file} expects nothing`);

let passed = 0;
let failed = 0;
async function check(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
    passed++;
    console.log(`ok    ${name}`);
  } catch (error) {
    failed++;
    // The SDK throws the error envelope as it came, which is no Error.
    console.log(`FAIL  ${name}\n${error instanceof Error ? error.message : JSON.stringify(error)}`);
  }
}

for (const e of expected) {
  const window = e.call === "balance" ? "" : ` ${e.from} ${e.to}`;
  await check(`${e.org} ${e.call}${window}`, async () => assert.deepStrictEqual(await answer(e), e.want));
}
for (const org of new Set(expected.map((e) => e.org))) {
  await check(`${org} transactions`, () => walkLedger(org));
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
