// chainrule/engine.h: the engine of chainrule for native code, called without Python in between. Plain C; nothing to
// link with: the functions come in a table, which a capsule holds.
//
//   const chainrule_engine* engine = PyCapsule_Import(CHAINRULE_ENGINE_CAPSULE, 0);
//   chainrule_network* network = PyCapsule_GetPointer(capsule, CHAINRULE_NETWORK_CAPSULE);
//
// the capsule being what `net.core.handle()` returns in Python: who keeps it, keeps the network. Functions that return
// int return 0, or -1 where something is wrong: error() says what, in this thread, until the next call. They may be
// called with Python's lock or without it, by any thread, and wait while another one has the network.
#ifndef CHAINRULE_ENGINE_H
#define CHAINRULE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Goes up where what is declared here changes; the engine's is in the table's first field.
#define CHAINRULE_ENGINE_ABI 1
#define CHAINRULE_ENGINE_CAPSULE "chainrule._engine._c_engine"
#define CHAINRULE_NETWORK_CAPSULE "chainrule.network"

typedef struct chainrule_network chainrule_network;

typedef struct chainrule_engine {
  uint32_t abi; // CHAINRULE_ENGINE_ABI
  const char* (*error)(void);

  ptrdiff_t (*inputs)(const chainrule_network* network);
  ptrdiff_t (*outputs)(const chainrule_network* network);

  // p (rows, outputs) = what net.predict gives for x (rows, inputs), for a network of that precision. Both are
  // contiguous, row by row, and do not overlap. Numbers of x are not looked at: NaN gives NaN.
  int (*predict_float32)(chainrule_network* network, ptrdiff_t rows, const float* x, float* p);
  int (*predict_float64)(chainrule_network* network, ptrdiff_t rows, const double* x, double* p);

  // c (m, n) = a (m, k) b (k, n), contiguous, row by row, by the thread that calls. c overlaps neither a nor b.
  int (*matmul_float32)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const float* a, const float* b, float* c);
  int (*matmul_float64)(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const double* a, const double* b, double* c);

  // h[i] = tanh(z[i]), and 1 / (1 + exp(-z[i])), for i < n, by vectors; n at least 0, h may be z. These two, and no
  // other function of this table, may be called from an activation, a loss or a layer that the engine calls.
  void (*tanh_float32)(ptrdiff_t n, const float* z, float* h);
  void (*tanh_float64)(ptrdiff_t n, const double* z, double* h);
  void (*sigmoid_float32)(ptrdiff_t n, const float* z, float* h);
  void (*sigmoid_float64)(ptrdiff_t n, const double* z, double* h);
} chainrule_engine;

#ifdef __cplusplus
}
#endif

#endif
