// The Go peer that the patient is measured against: the same page, the same two log lines, pprof.
package main

import (
	"io"
	"log"
	"net/http"
	_ "net/http/pprof"
	"os"
	"time"
)

func handleHello(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	log.Print("Starting processing request...")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	log.Printf("Request processed in %s", time.Since(begin))
	io.WriteString(w, "hello world\n")
}

func main() {
	http.HandleFunc("/", handleHello)
	log.Printf("Application started with PID %d", os.Getpid())
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
