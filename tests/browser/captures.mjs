// The panel of captures: taken, cancelled, renamed and deleted, by more than one page.
import assert from 'node:assert/strict';

import {audit, test} from './harness.mjs';

const rowOf = (page, name) => page.locator('#captures tr', {hasText: name});

async function take(page, kind, seconds, name) {
	await page.locator('#captures select[name=kind]').selectOption(kind);
	await page.getByRole('spinbutton', {name: 'Seconds'}).fill(String(seconds));
	await page.getByRole('textbox', {name: 'Name (if you like)'}).fill(name);
	await page.getByRole('button', {name: 'Take', exact: true}).click();
}

async function open(page) {
	await page.goto('/');
	await page.locator('#captures form').waitFor();
}

test('captures: each page sees one that is taken, and may cancel it', async page => {
	const other = await page.context().newPage();

	await open(page);
	await open(other);
	await take(page, 'cpu', 60, 'long');
	const progress = other.locator('.takings li', {hasText: 'long-'});

	await progress.getByText(/^[1-9] of 60 s$/).waitFor();
	await progress.getByRole('button', {name: /^Cancel long-/}).click();
	await page.getByText(/^long-.* was not kept\. It was cancelled\.$/).waitFor();
	await page.locator('.takings li').waitFor({state: 'detached'});
	assert.equal(await rowOf(page, 'long-').count(), 0);
});

test('captures: renamed and deleted, by keyboard', async page => {
	await open(page);
	await take(page, 'threads', 0, 'old');
	await rowOf(page, 'old-').getByRole('button', {name: /^Rename/}).press('Enter');
	await page.getByRole('textbox', {name: /^New name/}).fill('new-name');
	await audit(page);
	await page.keyboard.press('Enter');
	await rowOf(page, 'new-name.pb.gz').getByRole('button', {name: /^Delete/}).press('Enter');
	await page.keyboard.press('Escape');
	assert.equal(await rowOf(page, 'new-name.pb.gz').count(), 1);
	await rowOf(page, 'new-name.pb.gz').getByRole('button', {name: /^Delete/}).press('Enter');
	await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).press('Enter');
	await rowOf(page, 'new-name.pb.gz').waitFor({state: 'detached'});
});

test('captures: what cannot be says why', async page => {
	await open(page);
	await take(page, 'heap', 0, 'mine');
	await rowOf(page, 'mine-').getByRole('button', {name: /^Rename/}).click();
	await page.getByRole('textbox', {name: /^New name/}).fill('a..b');
	await page.getByRole('dialog').getByRole('button', {name: 'Rename'}).click();
	await page.getByText("A name has letters, digits").waitFor();
	await rowOf(page, 'mine-').getByRole('button', {name: /^Delete/}).click();
	await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
	await rowOf(page, 'mine-').waitFor({state: 'detached'});
}, {expected: /400 \(Bad Request\)/});

test('captures: the first page of pprof comes within 2 s', async page => {
	await open(page);
	await take(page, 'heap', 0, 'quick');
	await rowOf(page, 'quick-').waitFor();
	const begun = performance.now();

	await rowOf(page, 'quick-').getByRole('link', {name: 'Flame graph'}).click();
	await page.locator('#stack-chart').waitFor();
	assert.ok(performance.now() - begun < 2000, `${performance.now() - begun} ms`);
	await page.goBack();
	await rowOf(page, 'quick-').getByRole('button', {name: /^Delete/}).click();
	await page.getByRole('dialog').getByRole('button', {name: 'Delete'}).click();
	await rowOf(page, 'quick-').waitFor({state: 'detached'});
});
