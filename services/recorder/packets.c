#include "recorder/packets.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACKET_TAG (1 << 3 | 2) /* field 1, with a length */

/* Where the packet at AT begins and how long it is; false where there is no whole one. */
static bool find_packet(const struct packets *packets, size_t at, size_t *begin, size_t *len_bytes)
{
	uint64_t value = 0;

	if (at >= packets->len_bytes || packets->data[at++] != PACKET_TAG)
		return false;
	for (unsigned shift = 0; at < packets->len_bytes && shift < 35; shift += 7) {
		uint8_t byte = packets->data[at++];

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		*begin = at;
		*len_bytes = value;
		return value <= PACKET_MAX_BYTES && value <= packets->len_bytes - at;
	}
	return false;
}

static int map_file(struct packets *packets, int fd)
{
	struct stat stat;
	void *data;

	if (fstat(fd, &stat) != 0)
		return -errno;
	if (stat.st_size == 0)
		return 0;
	data = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	*packets = (struct packets){data, (size_t)stat.st_size};
	return 0;
}

int packets_open(struct packets *packets, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	size_t at = 0, begin, len_bytes;

	if (fd < 0)
		return -errno;
	err = map_file(packets, fd);
	close(fd);
	while (!err && at < packets->len_bytes) {
		if (!find_packet(packets, at, &begin, &len_bytes)) {
			packets_close(packets);
			return -EBADMSG;
		}
		at = begin + len_bytes;
	}
	return err;
}

void packets_close(struct packets *packets)
{
	if (packets->data)
		munmap((void *)packets->data, packets->len_bytes);
	*packets = (struct packets)PACKETS_INIT;
}

bool packets_next(
	const struct packets *packets, size_t *at, const uint8_t **data, size_t *len_bytes)
{
	size_t begin;

	if (!find_packet(packets, *at, &begin, len_bytes))
		return false;
	*data = packets->data + begin;
	*at = begin + *len_bytes;
	return true;
}

void packet_write(FILE *out, const uint8_t *data, size_t len_bytes)
{
	size_t rest = len_bytes;

	putc(PACKET_TAG, out);
	for (; rest >= 0x80; rest >>= 7)
		putc((int)(rest & 0x7f) | 0x80, out);
	putc((int)rest, out);
	fwrite(data, 1, len_bytes, out);
}
