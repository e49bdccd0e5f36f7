/* A function of which the compiler moves a part away: what leads to `rare`. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((cold, noinline)) void rare(int number) { fprintf(stderr, "%d\n", number); }

__attribute__((noinline)) int heated(int count, char **words)
{
    int sum = 0;
    for (int place = 0; place < count; place++) {
        int number = atoi(words[place]);
        if (number == 7) {
            rare(number);
            rare(place);
            sum -= atoi(words[0]);
        }
        sum += number * place;
    }
    return sum;
}

int main(int count, char **words)
{
    int sum = heated(count, words);
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
    return sum;
}
