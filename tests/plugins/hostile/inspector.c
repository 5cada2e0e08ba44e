/* Hands over what it is shown, so that a test can compare it: a view, element by element through its strides,
 * and a tile. In C11: the header has to compile as that. */
#include <stdlib.h>
#include <string.h>

#include "saccade_plugin.h"

static int32_t failed(const saccade_host* host) {
  host->fail(host, host->error(host));
  return SACCADE_FAILED;
}

static int32_t hand(const saccade_host* host, const char* name, const saccade_axis* axes, int32_t rank,
                    const float* values, int64_t count) {
  const saccade_field field = {
      .size = sizeof field, .rank = rank, .name = name, .axes = axes, .values = values, .count = count};
  return host->add_field(host, &field);
}

static int32_t copy_view(const saccade_host* host, const char* name, int32_t layer) {
  saccade_view view = {.size = sizeof view};
  if (host->view(host, name, layer, &view)) return failed(host);
  const int64_t* n = view.shape;
  const int64_t count = n[0] * n[1] * n[2] * n[3];
  float* values = malloc((size_t)count * sizeof *values);
  float* next = values;
  if (!values) return SACCADE_FAILED;
  for (int64_t a = 0; a < n[0]; ++a)
    for (int64_t b = 0; b < n[1]; ++b)
      for (int64_t c = 0; c < n[2]; ++c)
        for (int64_t d = 0; d < n[3]; ++d)
          *next++ =
              view.data[a * view.stride[0] + b * view.stride[1] + c * view.stride[2] + d * view.stride[3]];
  const saccade_axis axes[4] = {{"a", n[0], NULL}, {"b", n[1], NULL}, {"c", n[2], NULL}, {"d", n[3], NULL}};
  const int32_t status = hand(host, "view", axes, 4, values, count);
  free(values);
  return status;
}

static int32_t copy_tile(const saccade_host* host, int32_t layer, int32_t level) {
  const int64_t n = host->run->n_token, side = (int64_t)1 << level, blocks = (n + side - 1) / side;
  const saccade_tile tile = {sizeof tile, layer, 1, level, 0, n, 0, n};
  float* numbers = calloc((size_t)(2 * blocks * blocks), sizeof *numbers);
  if (!numbers) return SACCADE_FAILED;
  int32_t status = host->tile(host, &tile, numbers, numbers + blocks * blocks, blocks * blocks);
  const saccade_axis axes[3] = {{"which", 2, NULL}, {"row", blocks, NULL}, {"column", blocks, NULL}};
  status = status ? failed(host) : hand(host, "tile", axes, 3, numbers, 2 * blocks * blocks);
  free(numbers);
  return status;
}

static int32_t compute(const saccade_host* host) {
  const char* name = NULL;
  int64_t layer = 0, level = 0;
  int32_t tile = 0;
  double half = 0.0;
  if (host->text(host, "view", &name) || host->integer(host, "layer", &layer) ||
      host->integer(host, "level", &level) || host->boolean(host, "tile", &tile) ||
      host->number(host, "half", &half))
    return failed(host);
  if (half != 0.5 || strstr(host->parameters, "\"half\":0.5") == NULL) return SACCADE_FAILED;
  host->progress(host, 0.5, "half way");
  if (copy_view(host, name, (int32_t)layer)) return SACCADE_FAILED;
  return tile ? copy_tile(host, (int32_t)layer, (int32_t)level) : SACCADE_OK;
}

const saccade_plugin* saccade_plugin_entry(uint32_t host_api, const char* id) {
  static const saccade_plugin plugin = {sizeof plugin, SACCADE_PLUGIN_API, "inspector", compute};
  return host_api == SACCADE_PLUGIN_API && strcmp(id, plugin.id) == 0 ? &plugin : NULL;
}
