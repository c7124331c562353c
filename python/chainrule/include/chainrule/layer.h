// chainrule/layer.h: what a layer in native code is to the engine of chainrule: a table of functions, in a capsule.
// Plain C; layer.hpp beside it makes the table of a class in C++.
//
// The same rules hold as in native.h: all threads call, without Python's lock; nothing of Python is called, and no
// exception comes out. Matrices are contiguous, row by row, and never overlap. Letters: `rows` of a block of a batch,
// `inputs` and `outputs` of the layer, w (parameters) what it learns, dw, dx, dh gradients of the loss.
//
// A row of h depends on the same row of x alone. A parameter's gradient is a sum over the rows that are given, which
// are all of the batch; its parts [first, last) are asked for apart, so that no sum depends on the number of threads.
#ifndef CHAINRULE_LAYER_H
#define CHAINRULE_LAYER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Goes up where what is declared here changes. The names of the capsules have it, so that an extension that was built
// against another header is refused.
#define CHAINRULE_LAYER_ABI 1
#define CHAINRULE_LAYER_CAPSULE_FLOAT32 "chainrule.layer.float32.1"
#define CHAINRULE_LAYER_CAPSULE_FLOAT64 "chainrule.layer.float64.1"

#define CHAINRULE_DECLARE_LAYER(NAME, T)                                                                               \
  typedef struct NAME {                                                                                                \
    uint32_t abi;   /* CHAINRULE_LAYER_ABI */                                                                          \
    uint32_t bytes; /* sizeof(NAME) */                                                                                 \
    void* user;     /* which every function gets; lives as long as the capsule */                                      \
    /* Columns of h for columns of x; below 1 where the layer cannot take so many. */                                  \
    ptrdiff_t (*outputs)(ptrdiff_t inputs, void* user);                                                                \
    /* How many numbers the layer learns, and how they start; 0 and null where it learns none. */                      \
    ptrdiff_t (*parameters)(ptrdiff_t inputs, void* user);                                                             \
    void (*start)(ptrdiff_t inputs, T* w, void* user);                                                                 \
    /* h (rows, outputs) of x (rows, inputs). */                                                                       \
    void (*forward)(ptrdiff_t rows, ptrdiff_t inputs, const T* w, const T* x, T* h, void* user);                       \
    /* dx (rows, inputs) of dh (rows, outputs). */                                                                     \
    void (*backward)(ptrdiff_t rows, ptrdiff_t inputs, const T* w, const T* x, const T* h, const T* dh, T* dx,         \
                     void* user);                                                                                      \
    /* Adds to dw[first..last) what the rows bring. Null where the layer learns nothing. */                            \
    void (*gradient)(ptrdiff_t rows, ptrdiff_t inputs, ptrdiff_t first, ptrdiff_t last, const T* w, const T* x,        \
                     const T* h, const T* dh, T* dw, void* user);                                                      \
  } NAME

CHAINRULE_DECLARE_LAYER(chainrule_layer_float32, float);
CHAINRULE_DECLARE_LAYER(chainrule_layer_float64, double);

#ifdef __cplusplus
}
#endif

#endif
