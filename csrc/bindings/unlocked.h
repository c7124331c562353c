// Unlocked: the interpreter's lock is released while one of these lives.
//
// pybind11 has the same in gil_scoped_release, which brings the process down if the interpreter ends meanwhile.
#pragma once

#include <pybind11/pybind11.h>

#include "bindings/interpreter_end.h"

namespace chainrule::bindings {

class Unlocked {
public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  ~Unlocked() {
    or_sleep_at_the_end([this] { PyEval_RestoreThread(state_); });
  }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

private:
  PyThreadState* state_;
};

} // namespace chainrule::bindings
