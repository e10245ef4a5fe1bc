// The Go peer that the patient is measured against: the same page, the same two log lines, pprof.
package main

import (
	"io"
	"log"
	"net/http"
	_ "net/http/pprof"
	"os"
	"strconv"
	"time"
)

func handleHello(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	log.Print("Starting processing request...")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	log.Printf("Request processed in %s", time.Since(begin))
	io.WriteString(w, "hello world\n")
}

// Goroutines that wait for a signal that never comes, as the patient's threads in step 5.
func waitForSignal(signal chan bool) {
	<-signal
}

func handleLeak(w http.ResponseWriter, r *http.Request) {
	count, err := strconv.Atoi(r.FormValue("count"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for i := 0; i < count; i++ {
		go waitForSignal(make(chan bool))
	}
}

func main() {
	http.HandleFunc("/", handleHello)
	http.HandleFunc("/leak", handleLeak)
	log.Printf("Application started with PID %d", os.Getpid())
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
