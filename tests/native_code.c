// Functions that test_custom.py compiles: an activation, g(z) = z / (1 + exp(-z)), a loss, and functions that are
// wrong.
#include <math.h>

#include "chainrule/native.h"

#define DEFINE(T, S)                                                                                                   \
  void forward##S(ptrdiff_t n, const T* z, T* h, void* user) {                                                         \
    (void)user;                                                                                                        \
    for (ptrdiff_t i = 0; i < n; ++i) h[i] = z[i] / (1 + (T)exp(-z[i]));                                               \
  }                                                                                                                    \
  void backward##S(ptrdiff_t n, const T* z, const T* h, const T* dh, T* dz, void* user) {                              \
    (void)user;                                                                                                        \
    for (ptrdiff_t i = 0; i < n; ++i) {                                                                                \
      const T s = 1 / (1 + (T)exp(-z[i]));                                                                             \
      dz[i] = dh[i] * (s + h[i] * (1 - s));                                                                            \
    }                                                                                                                  \
  }                                                                                                                    \
  /* The same way back with the derivative of something else, and without what comes from above. */                    \
  void backward_wrong##S(ptrdiff_t n, const T* z, const T* h, const T* dh, T* dz, void* user) {                        \
    (void)user, (void)h;                                                                                               \
    for (ptrdiff_t i = 0; i < n; ++i) dz[i] = dh[i] / (1 + (T)exp(-z[i]));                                             \
  }                                                                                                                    \
  void backward_deaf##S(ptrdiff_t n, const T* z, const T* h, const T* dh, T* dz, void* user) {                         \
    (void)dh;                                                                                                          \
    for (ptrdiff_t i = 0; i < n; ++i) {                                                                                \
      const T one = 1;                                                                                                 \
      backward##S(1, z + i, h + i, &one, dz + i, user);                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  /* ReLU. */                                                                                                          \
  void forward_relu##S(ptrdiff_t n, const T* z, T* h, void* user) {                                                    \
    (void)user;                                                                                                        \
    for (ptrdiff_t i = 0; i < n; ++i) h[i] = z[i] > 0 ? z[i] : 0;                                                      \
  }                                                                                                                    \
  void backward_relu##S(ptrdiff_t n, const T* z, const T* h, const T* dh, T* dz, void* user) {                         \
    (void)user, (void)z;                                                                                               \
    for (ptrdiff_t i = 0; i < n; ++i) dz[i] = h[i] > 0 ? dh[i] : 0;                                                    \
  }                                                                                                                    \
  /* Functions that break a rule: neighbours, bounds, inputs, finite results. */                                       \
  void forward_neighbour##S(ptrdiff_t n, const T* z, T* h, void* user) {                                               \
    (void)user;                                                                                                        \
    for (ptrdiff_t i = 0; i < n; ++i) h[i] = z[i] + (i > 0 ? z[i - 1] : 0);                                            \
  }                                                                                                                    \
  void backward_plain##S(ptrdiff_t n, const T* z, const T* h, const T* dh, T* dz, void* user) {                        \
    (void)user, (void)z, (void)h;                                                                                      \
    for (ptrdiff_t i = 0; i < n; ++i) dz[i] = dh[i];                                                                   \
  }                                                                                                                    \
  void forward_beyond##S(ptrdiff_t n, const T* z, T* h, void* user) {                                                  \
    (void)user;                                                                                                        \
    for (ptrdiff_t i = 0; i < n; ++i) h[i] = z[i];                                                                     \
    h[n] = 0;                                                                                                          \
  }                                                                                                                    \
  void forward_writing##S(ptrdiff_t n, const T* z, T* h, void* user) {                                                 \
    (void)user;                                                                                                        \
    for (ptrdiff_t i = 0; i < n; ++i) h[i] = ((T*)z)[i] = 1;                                                           \
  }                                                                                                                    \
  void forward_root##S(ptrdiff_t n, const T* z, T* h, void* user) {                                                    \
    (void)user;                                                                                                        \
    for (ptrdiff_t i = 0; i < n; ++i) h[i] = (T)sqrt(z[i]);                                                            \
  }                                                                                                                    \
  void backward_root##S(ptrdiff_t n, const T* z, const T* h, const T* dh, T* dz, void* user) {                         \
    (void)user, (void)z;                                                                                               \
    for (ptrdiff_t i = 0; i < n; ++i) dz[i] = dh[i] / (2 * h[i]);                                                      \
  }                                                                                                                    \
  /* a z, where `user` points to a double a. */                                                                        \
  void forward_scaled##S(ptrdiff_t n, const T* z, T* h, void* user) {                                                  \
    for (ptrdiff_t i = 0; i < n; ++i) h[i] = (T) * (double*)user * z[i];                                               \
  }                                                                                                                    \
  void backward_scaled##S(ptrdiff_t n, const T* z, const T* h, const T* dh, T* dz, void* user) {                       \
    (void)z, (void)h;                                                                                                  \
    for (ptrdiff_t i = 0; i < n; ++i) dz[i] = (T) * (double*)user * dh[i];                                             \
  }                                                                                                                    \
  /* The squared error of a row, and one whose gradient lacks the 2. */                                                \
  double squares##S(ptrdiff_t outputs, const T* p, const T* y, T* dp, void* user) {                                    \
    double sum = 0;                                                                                                    \
    (void)user;                                                                                                        \
    for (ptrdiff_t j = 0; j < outputs; ++j) {                                                                          \
      const T d = p[j] - y[j];                                                                                         \
      dp[j] = 2 * d;                                                                                                   \
      sum += (double)d * d;                                                                                            \
    }                                                                                                                  \
    return sum;                                                                                                        \
  }                                                                                                                    \
  double squares_wrong##S(ptrdiff_t outputs, const T* p, const T* y, T* dp, void* user) {                              \
    const double sum = squares##S(outputs, p, y, dp, user);                                                            \
    for (ptrdiff_t j = 0; j < outputs; ++j) dp[j] /= 2;                                                                \
    return sum;                                                                                                        \
  }                                                                                                                    \
  /* Poisson's, for rates p above 0. */                                                                                \
  double poisson##S(ptrdiff_t outputs, const T* p, const T* y, T* dp, void* user) {                                    \
    double sum = 0;                                                                                                    \
    (void)user;                                                                                                        \
    for (ptrdiff_t j = 0; j < outputs; ++j) {                                                                          \
      dp[j] = 1 - y[j] / p[j];                                                                                         \
      sum += p[j] - y[j] * log(p[j]);                                                                                  \
    }                                                                                                                  \
    return sum;                                                                                                        \
  }

DEFINE(float, 32)
DEFINE(double, 64)
