// chainrule/native.h: what native code and the engine of chainrule agree on. Plain C: there is nothing to link with.
//
// The functions below are called by all threads of a training at once, without Python's lock. So they keep no state of
// their own that they change, call nothing of Python, and let no exception out. `user` is the pointer that was given
// with the function, null where none was. Arrays are contiguous and never overlap; what is const is not written to.
// Each function is there once for float and once for double.
#ifndef CHAINRULE_NATIVE_H
#define CHAINRULE_NATIVE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// An activation, element by element: h[i] = g(z[i]) for i < n, n at least 0. It may not matter to an element which
// others come with it.
typedef void (*chainrule_forward_float32)(ptrdiff_t n, const float* z, float* h, void* user);
typedef void (*chainrule_forward_float64)(ptrdiff_t n, const double* z, double* h, void* user);

// Its way back: dz[i] = dh[i] * g'(z[i]), with h[i] = g(z[i]) to use where that helps.
typedef void (*chainrule_backward_float32)(ptrdiff_t n, const float* z, const float* h, const float* dh, float* dz,
                                           void* user);
typedef void (*chainrule_backward_float64)(ptrdiff_t n, const double* z, const double* h, const double* dh, double* dz,
                                           void* user);

// A loss of one row: returns l(p, y) of `outputs` predictions p and targets y, and writes dp[j] = dl / dp[j]. dp is
// never null.
typedef double (*chainrule_row_loss_float32)(ptrdiff_t outputs, const float* p, const float* y, float* dp, void* user);
typedef double (*chainrule_row_loss_float64)(ptrdiff_t outputs, const double* p, const double* y, double* dp,
                                             void* user);

#ifdef __cplusplus
}
#endif

#endif
