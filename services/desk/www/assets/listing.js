// Lines of the patient's sources.
const AROUND = 5;

export const sourcePage = (file, line) => `/source.html?${new URLSearchParams({file, line})}#hit`;

// The whole of FILE, a path below services/. Throws an Error whose message is a sentence.
async function fetchSource(file) {
	const response = await fetch(`/source?${new URLSearchParams({file})}`);
	const text = await response.text();

	if (!response.ok)
		throw new Error(text.trim());
	return text.replace(/\n$/, '').split('\n');
}

// FILE as an element, LINE marked; with AROUND lines on each side of it, or all of them.
export async function createListing(file, line, {whole = false} = {}) {
	const lines = await fetchSource(file);
	const first = whole ? 1 : Math.max(1, line - AROUND);
	const last = whole ? lines.length : Math.min(lines.length, line + AROUND);
	const listing = document.createElement('pre');

	listing.className = 'listing';
	listing.tabIndex = 0; // what scrolls must be reached by keyboard
	listing.setAttribute('role', 'region');
	listing.setAttribute('aria-label', `${file}, line ${first} to ${last}`);
	for (let number = first; number <= last; number++) {
		const shown = document.createElement('span');

		shown.className = number === line ? 'line hit' : 'line';
		if (number === line)
			shown.id = whole ? 'hit' : '';
		shown.dataset.number = number;
		shown.textContent = lines[number - 1] || ' ';
		listing.append(shown);
	}
	return listing;
}
