/* The C interface between Saccade and an analysis method that lives in a shared library. Compiles as C11 and
 * as C++11. plugins/README.md shows how to write one; the manifest beside the library says what it is.
 *
 * Versions. SACCADE_PLUGIN_API changes when anything here changes its meaning; a library made for another
 * number is refused. Structs may grow at their end without that: whoever makes a struct sets its `size` to
 * sizeof, and whoever reads it looks no further.
 *
 * Ownership. What the host hands out (views, texts, the run) belongs to the host and is valid until compute()
 * returns. What the plugin hands over (fields, tables, findings) is copied during the call. Nobody frees what
 * the other side made.
 *
 * Threads. compute() is called on one thread, which is not the window's, and may be called on several threads
 * at once for different runs: keep no state outside of it. Call the host's functions on the thread that
 * compute() was called on; only cancelled() may be called on any thread, while compute() lasts.
 *
 * Errors. Functions return SACCADE_OK, SACCADE_FAILED or SACCADE_CANCELLED; after a failure error() says what
 * was wrong. Nothing is thrown across this line, in either direction: catch everything before you return.
 *
 * Texts are UTF-8, end with a zero byte, and hold no control characters.
 */
#ifndef SACCADE_PLUGIN_H
#define SACCADE_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SACCADE_PLUGIN_API 1u
#define SACCADE_PLUGIN_ENTRY "saccade_plugin_entry"
#define SACCADE_VIEW_RANK 4
#define SACCADE_FIELD_RANK 6

#if defined(__GNUC__)
#define SACCADE_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define SACCADE_PLUGIN_EXPORT
#endif

enum { SACCADE_OK = 0, SACCADE_FAILED = 1, SACCADE_CANCELLED = 2 };

/* How a colour map treats a field's numbers. */
enum { SACCADE_AS_DECLARED = 0, SACCADE_PROBABILITY = 1, SACCADE_SIGNED = 2, SACCADE_MAGNITUDE = 3 };

/* What a table's cell holds. */
enum { SACCADE_TEXT = 1, SACCADE_INTEGER = 2, SACCADE_NUMBER = 3 };

/* The run that is looked at. */
typedef struct saccade_run {
  uint32_t size;
  int32_t n_layer, n_head, n_kv_head; /* query heads; heads of k and v */
  int32_t d_head, d_model, n_vocab;
  int32_t causal;                 /* 1: a query sees no later key */
  int64_t n_token;                /* queries = keys = tokens, the added ones included */
  const int32_t* token_ids;       /* [n_token] */
  const char* const* token_texts; /* [n_token], as a label shows them */
  const char* request;            /* digest of the run's request */
  const char* model;              /* its name, for people */
} saccade_run;

/* Numbers of the run, float32: element (i, j, k) is data[i * stride[0] + j * stride[1] + k * stride[2]]. */
typedef struct saccade_view {
  uint32_t size; /* set by the plugin before the call */
  int32_t rank;
  const float* data;
  int64_t shape[SACCADE_VIEW_RANK];
  int64_t stride[SACCADE_VIEW_RANK]; /* in elements */
} saccade_view;

/* A part of one head's attention map, regenerated exactly, the run's edits in it. Ranges are half open and
 * lie in [0, n_token]. Blocks of 2^level x 2^level cells become one number each: level 0 is the map itself.
 */
typedef struct saccade_tile {
  uint32_t size;
  int32_t layer, head; /* query head */
  int32_t level;       /* 0 to 20 */
  int64_t query_begin, query_end, key_begin, key_end;
} saccade_tile;

typedef struct saccade_axis {
  const char* name; /* as the manifest declares it: "layer", "head", "query", "key", "token" have the run's
                       sizes; any other name has a size of the plugin's own, at least 1 */
  int64_t length;   /* indices along it */
  const char* const* labels; /* NULL, or one text per index */
} saccade_axis;

typedef struct saccade_field {
  uint32_t size;
  int32_t rank;             /* 1 to SACCADE_FIELD_RANK */
  const char* name;         /* one that the manifest declares, handed over at most once */
  const char* label;        /* NULL: the manifest's */
  const char* unit;         /* NULL: the manifest's */
  int32_t kind;             /* SACCADE_AS_DECLARED or another of its list */
  int32_t reserved;         /* 0 */
  const saccade_axis* axes; /* [rank] */
  const float* values;      /* row-major, the last axis fastest; NaN where there is no number */
  int64_t count;            /* how many values there are: the product of the axes' lengths */
} saccade_field;

typedef struct saccade_cell {
  int32_t type; /* SACCADE_TEXT, SACCADE_INTEGER or SACCADE_NUMBER: which of the three is meant */
  int32_t reserved;
  const char* text;
  int64_t integer;
  double number;
} saccade_cell;

typedef struct saccade_table {
  uint32_t size;
  int32_t columns;           /* as many as the manifest declares */
  const char* name;          /* one that the manifest declares, handed over at most once */
  int64_t rows;              /* may be 0 */
  const saccade_cell* cells; /* [rows, columns] */
} saccade_table;

/* What compute() is given. Every function takes the struct itself as its first argument. */
typedef struct saccade_host saccade_host;
struct saccade_host {
  uint32_t size;
  uint32_t api;
  void* context; /* the host's own */
  const saccade_run* run;
  const char* parameters; /* a JSON object: every declared parameter, checked, defaults filled in */

  /* One parameter, of the type the manifest declares (a file parameter is a text: its path, or empty). */
  int32_t (*integer)(const saccade_host* host, const char* name, int64_t* value);
  int32_t (*number)(const saccade_host* host, const char* name, double* value);
  int32_t (*boolean)(const saccade_host* host, const char* name, int32_t* value);
  int32_t (*text)(const saccade_host* host, const char* name, const char** value);

  /* Numbers that the run kept; fails with the reason where it kept none.
   *   of a layer   q [token, head, d_head], k [token, kv_head, d_head]: after rotation
   *                lse [head, query]: log sum exp of the scaled, masked scores
   *                resid_pre [token, d_model]
   *                entropy (nats), max_weight, max_key, sink_mass, local_mass, mean_distance [head, query]
   *                received, received_max [head, key]
   *   of the run   final_resid [token, d_model], last_logits [n_vocab], loss [n_token - 1] (nats); layer is
   * ignored a hook site  by its full name, "blocks.3.attn.hook_v" [token, kv_head, d_head]; layer is ignored.
   * The manifest's "sites" says which ones the run must keep. */
  int32_t (*view)(const saccade_host* host, const char* name, int32_t layer, saccade_view* view);

  /* mass: the sum of each block; max: the largest weight of each block; each may be NULL. Both are row-major,
   * [ceil(queries / 2^level), ceil(keys / 2^level)], and have room for `capacity` numbers. Returns
   * SACCADE_CANCELLED once the user has asked to stop. */
  int32_t (*tile)(const saccade_host* host, const saccade_tile* what, float* mass, float* max,
                  int64_t capacity);

  /* fraction in [0, 1]; what: a few words, or NULL. */
  void (*progress)(const saccade_host* host, double fraction, const char* what);
  /* 1 when the user asked to stop: return SACCADE_CANCELLED within 100 ms. What was handed over until then is
   * shown, marked partial. */
  int32_t (*cancelled)(const saccade_host* host);

  /* What is handed over is checked against the manifest and the run; what does not fit makes the whole call
   * fail, whatever compute() returns afterwards. */
  int32_t (*add_field)(const saccade_host* host, const saccade_field* field);
  int32_t (*add_table)(const saccade_host* host, const saccade_table* table);
  int32_t (*add_finding)(const saccade_host* host, const char* sentence);

  /* Says why compute() is about to return SACCADE_FAILED: one sentence for the user. */
  void (*fail)(const saccade_host* host, const char* reason);
  /* What the last failed call said; empty before the first. */
  const char* (*error)(const saccade_host* host);
};

/* What the library says about itself. Static storage. */
typedef struct saccade_plugin {
  uint32_t size;
  uint32_t api;   /* SACCADE_PLUGIN_API, as compiled */
  const char* id; /* the manifest's */
  int32_t (*compute)(const saccade_host* host);
} saccade_plugin;

/* The one symbol that a library exports. A library may serve several manifests: `id` is the one that is
 * loaded. NULL: not served, or not for this version of the host. */
SACCADE_PLUGIN_EXPORT const saccade_plugin* saccade_plugin_entry(uint32_t host_api, const char* id);

#ifdef __cplusplus
}
#endif
#endif
