// Layers that test_custom_layer.py compiles: h = a x + b with a and b learned for each column, one that learns nothing,
// and some that are wrong.
#include "chainrule/layer.h"

#define DEFINE(T, S)                                                                                                   \
  static ptrdiff_t same##S(ptrdiff_t inputs, void* user) { return (void)user, inputs; }                                \
  static ptrdiff_t none##S(ptrdiff_t inputs, void* user) { return (void)user, (void)inputs, 0; }                       \
  static ptrdiff_t learned##S(ptrdiff_t inputs, void* user) { return (void)user, 2 * inputs; }                         \
  static void start##S(ptrdiff_t inputs, T* w, void* user) {                                                           \
    (void)user;                                                                                                        \
    for (ptrdiff_t j = 0; j < inputs; ++j) w[j] = 1, w[inputs + j] = (T)0.5;                                           \
  }                                                                                                                    \
  static void forward##S(ptrdiff_t rows, ptrdiff_t inputs, const T* w, const T* x, T* h, void* user) {                 \
    (void)user;                                                                                                        \
    for (ptrdiff_t e = 0; e < rows * inputs; ++e) h[e] = w[e % inputs] * x[e] + w[inputs + e % inputs];                \
  }                                                                                                                    \
  static void backward##S(ptrdiff_t rows, ptrdiff_t inputs, const T* w, const T* x, const T* h, const T* dh, T* dx,    \
                          void* user) {                                                                                \
    (void)user, (void)x, (void)h;                                                                                      \
    for (ptrdiff_t e = 0; e < rows * inputs; ++e) dx[e] = w[e % inputs] * dh[e];                                       \
  }                                                                                                                    \
  static void gradient##S(ptrdiff_t rows, ptrdiff_t inputs, ptrdiff_t first, ptrdiff_t last, const T* w, const T* x,   \
                          const T* h, const T* dh, T* dw, void* user) {                                                \
    (void)user, (void)w, (void)h;                                                                                      \
    for (ptrdiff_t j = first; j < last; ++j) {                                                                         \
      for (ptrdiff_t i = 0; i < rows; ++i) {                                                                           \
        const ptrdiff_t e = i * inputs + j % inputs;                                                                   \
        dw[j] += j < inputs ? x[e] * dh[e] : dh[e];                                                                    \
      }                                                                                                                \
    }                                                                                                                  \
  }                                                                                                                    \
  static void forward_double##S(ptrdiff_t rows, ptrdiff_t inputs, const T* w, const T* x, T* h, void* user) {          \
    (void)w, (void)user;                                                                                               \
    for (ptrdiff_t e = 0; e < rows * inputs; ++e) h[e] = 2 * x[e];                                                     \
  }                                                                                                                    \
  static void backward_double##S(ptrdiff_t rows, ptrdiff_t inputs, const T* w, const T* x, const T* h, const T* dh,    \
                                 T* dx, void* user) {                                                                  \
    (void)user, (void)x, (void)h, (void)w;                                                                             \
    for (ptrdiff_t e = 0; e < rows * inputs; ++e) dx[e] = 2 * dh[e];                                                   \
  }                                                                                                                    \
  static void gradient_wrong##S(ptrdiff_t rows, ptrdiff_t inputs, ptrdiff_t first, ptrdiff_t last, const T* w,         \
                                const T* x, const T* h, const T* dh, T* dw, void* user) {                              \
    gradient##S(rows, inputs, first, last, w, h, x, dh, dw, user);                                                     \
  }                                                                                                                    \
  typedef chainrule_layer_float##S table##S;                                                                           \
  enum { bytes##S = sizeof(table##S) };                                                                                \
  table##S affine##S = {1, bytes##S, 0, same##S, learned##S, start##S, forward##S, backward##S, gradient##S};          \
  table##S doubled##S = {1, bytes##S, 0, same##S, 0, 0, forward_double##S, backward_double##S, 0};                     \
  table##S wrong_dx##S = {1, bytes##S, 0, same##S, learned##S, start##S, forward##S, backward_double##S, gradient##S}; \
  table##S wrong_dw##S = {1, bytes##S, 0, same##S, learned##S, start##S, forward##S, backward##S, gradient_wrong##S};  \
  table##S older##S = {0, bytes##S, 0, same##S, 0, 0, forward_double##S, backward_double##S, 0};                       \
  table##S shorter##S = {1, 8, 0, same##S, 0, 0, forward_double##S, backward_double##S, 0};                            \
  table##S lacking##S = {1, bytes##S, 0, same##S, learned##S, start##S, forward##S, backward##S, 0};                   \
  table##S narrow##S = {1, bytes##S, 0, none##S, 0, 0, forward_double##S, backward_double##S, 0};

DEFINE(float, 32)
DEFINE(double, 64)
