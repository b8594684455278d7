module todoplatform.dev/e2e/runc-fit

go 1.24
