// Unlocked: the interpreter's lock is released while one of these lives.
//
// pybind11 has the same in gil_scoped_release, whose destructor may not be left by an exception. But before Python 3.14
// a thread that asks for the lock while the interpreter ends is ended on the spot, by unwinding its stack: a daemon
// thread that trains would then bring the process down.
#pragma once

#include <pybind11/pybind11.h>

namespace chainrule::bindings {

class Unlocked {
public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  ~Unlocked() noexcept(false) { PyEval_RestoreThread(state_); }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

private:
  PyThreadState* state_;
};

} // namespace chainrule::bindings
