// The list of captures: times as the reader's clock shows them, and the way to ui.perfetto.dev.
import {fetchTrace, handOver, nameOf} from './handover.js';

for (const time of document.querySelectorAll('time'))
	time.textContent = new Date(time.dateTime).toLocaleString();

document.addEventListener('click', async event => {
	const link = event.target.closest('a.handover');

	if (!link)
		return;
	event.preventDefault();
	try {
		await handOver(nameOf(link.href), () => fetchTrace(link.href));
	} catch (error) {
		alert(error.message);
	}
});
