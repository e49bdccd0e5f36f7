// A C++ function on the way between two functions of C.
namespace zoo {
template <typename T> struct Snake {
    __attribute__((noinline)) static T shed(T (*call)(T), T n) { return call(n) + 1; }
};
}

extern "C" int through_library(int (*call)(int), int n) { return zoo::Snake<int>::shed(call, n) + 1; }
