// The desk at work, for the README and the workshop's texts: first, while nothing else is on its time axis.
import {picture, test} from './harness.mjs';
import {goTo, take} from './panels.mjs';

// Until the charts have COUNT more seconds.
const awaitSamples = (page, count) => page.evaluate(async left => {
	const {hub} = await import('/assets/hub.js');

	await new Promise(resolve => hub.on('vitals', () => --left || resolve()));
}, count);

if (process.env.PICTURES)
	test('desk at work, in light and in dark', async page => {
		await page.setViewportSize({width: 1280, height: 860});
		await goTo(page, 5);
		await page.locator('#patient-rate').focus();
		for (const key of ['ArrowRight', 'ArrowRight', 'ArrowRight'])
			await page.keyboard.press(key);
		await awaitSamples(page, 25);
		await page.getByRole('button', {name: 'Step 6, fd leak, leaky'}).click();
		await awaitSamples(page, 25);
		await take(page, 'fd', 0, 'many-files');
		await page.getByRole('button', {name: 'Step 3, memory leak, leaky'}).click();
		await awaitSamples(page, 8);
		await take(page, 'heap', 0, 'grown');
		await awaitSamples(page, 2);
		await page.evaluate(() => scrollTo(0, 0));
		await picture(page, 'desk-light');
		await page.emulateMedia({colorScheme: 'dark'});
		await awaitSamples(page, 1); // its colours are drawn
		await picture(page, 'desk-dark');
		await page.getByRole('button', {name: 'Reset'}).click();
		await page.locator('.steps li.now', {hasText: '0 none'}).waitFor();
	});
