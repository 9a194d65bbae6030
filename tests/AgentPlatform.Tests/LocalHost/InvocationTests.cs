using System.Net;
using AgentPlatform.LocalHost;
using AgentPlatform.LocalHost.Hosting;
using AgentPlatform.LocalHost.Invocation;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentPlatform.Tests.LocalHost;

public sealed class InvocationTests
{
    [Fact]
    public async Task Parameters_are_bound_from_route_query_context_and_token()
    {
        await using var app = await LocalHostApp.StartAsync(new(typeof(Bound)));

        Assert.Equal("7 true 0f8fad5b-d9cb-469f-a165-70867728950e blue - Bind True", await app.Client.GetStringAsync(
            "bind/7/true/0f8fad5b-d9cb-469f-a165-70867728950e?colour=blue"));
        Assert.Equal("route", await app.Client.GetStringAsync("first/route?value=query"));
    }

    [Theory]
    [InlineData("needs?count=many")]
    [InlineData("needs")]
    public async Task A_value_that_does_not_fit_is_a_server_error_as_on_Azure(string path)
    {
        await using var app = await LocalHostApp.StartAsync(new(typeof(Bound)));

        using var response = await app.Client.GetAsync(path);

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Equal("", await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Each_execution_has_a_fresh_class_and_scope_which_it_disposes()
    {
        var life = new Life();
        await using var app = await LocalHostApp.StartAsync(
            new(typeof(Scoped)) { Configure = b => b.Services.AddSingleton(life).AddScoped<Scope>() });

        var first = await app.Client.GetStringAsync("scoped");
        var second = await app.Client.GetStringAsync("scoped");

        Assert.Equal(("same", "same"), (first, second));
        Assert.Equal(2, await Eventually.SeeAsync(() => Task.FromResult(life.ScopesDisposed), seen => seen == 2));
        Assert.Equal(2, life.FunctionsDisposed);
    }

    [Fact]
    public async Task Static_functions_run()
    {
        await using var app = await LocalHostApp.StartAsync(new(typeof(StaticFunctions)));

        Assert.Equal("static", await app.Client.GetStringAsync("static"));
    }

    [Fact]
    public async Task Middleware_wraps_functions_in_the_order_of_registration()
    {
        var steps = new List<string>();
        await using var app = await LocalHostApp.StartAsync(new(typeof(Traced))
        {
            Configure = builder =>
            {
                builder.Services.AddSingleton(steps);
                builder.UseMiddleware<Outer>();
                builder.UseMiddleware<Inner>();
                builder.UseWhen<Never>(_ => false);
            },
        });

        Assert.Equal("changed", await app.Client.GetStringAsync("traced"));
        Assert.Equal(["outer in Traced", "inner in", "function", "inner out", "outer out"], steps);
    }

    [Fact]
    public async Task Middleware_may_answer_itself_and_sees_the_request()
    {
        await using var app = await LocalHostApp.StartAsync(new(typeof(Traced))
        {
            Configure = builder => builder.Services.AddSingleton(new List<string>()).AddSingleton(builder.UseMiddleware((context, next) =>
            {
                context.GetInvocationResult().Value = new ObjectResult(context.GetHttpContext()!.Request.Path.Value) { StatusCode = 403 };
                return Task.CompletedTask;
            })),
        });

        using var response = await app.Client.GetAsync("traced");

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Equal("/traced", await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("throws/sync")]
    [InlineData("throws/async")]
    public async Task An_exception_is_a_bare_500_and_a_log_line(string path)
    {
        using var log = new RecordingLog();
        await using var app = await LocalHostApp.StartAsync(new(typeof(Throwing)) { Configure = b => b.Logging.AddProvider(log) });

        using var response = await app.Client.GetAsync(path);

        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Equal("", await response.Content.ReadAsStringAsync());
        Assert.False(response.Headers.Contains("X-Secret"));
        Assert.Contains("InvalidOperationException: secret detail", log.Text);
    }

    [Fact]
    public async Task A_failure_after_the_response_began_cuts_the_connection()
    {
        await using var app = await LocalHostApp.StartAsync(new(typeof(Throwing)));

        await Assert.ThrowsAsync<HttpRequestException>(() => app.Client.GetStringAsync("throws/late"));
    }

    [Fact]
    public async Task A_client_that_leaves_cancels_the_function()
    {
        var waiting = new Waiting();
        await using var app = await LocalHostApp.StartAsync(new(typeof(Patient)) { Configure = b => b.Services.AddSingleton(waiting) });
        using var leaving = new CancellationTokenSource();
        var request = app.Client.GetAsync("patient", leaving.Token);
        await waiting.Entered.Task;

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => request);
        await waiting.Cancelled.Task.WaitAsync(TimeSpan.FromSeconds(60));
    }

    [Theory]
    [InlineData(typeof(TwoOfOneName), "Two functions are named Twice")]
    [InlineData(typeof(TwoTriggers), "Function TwoTriggers must have exactly one trigger; it has 2.")]
    [InlineData(typeof(NoTrigger), "Function NoTrigger must have exactly one trigger; it has 0.")]
    [InlineData(typeof(Unbindable), "Function Unbindable: the parameter stream of type Stream cannot be bound to httpTrigger.")]
    [InlineData(typeof(WrongTimer), "Function WrongTimer: the parameter timer of type String cannot be bound to timerTrigger.")]
    public void A_function_that_cannot_run_stops_the_host_with_one_line(Type functions, string message)
    {
        var e = Assert.Throws<SettingException>(() => FunctionCatalog.Find([functions]));

        Assert.StartsWith(message, e.Message);
    }

    public sealed class Bound
    {
        [Function("Bind")]
        public string Bind(
            [HttpTrigger(AuthorizationLevel.Anonymous, Route = "bind/{number}/{flag}/{id}")] HttpRequest request, int number, bool flag, Guid id, string colour,
            string? absent, FunctionContext context, CancellationToken ct) =>
            $"{number} {(flag ? "true" : "false")} {id} {colour} {absent ?? "-"} {context.FunctionDefinition.Name} {ct == request.HttpContext.RequestAborted}";

        [Function("First")]
        public string First([HttpTrigger(AuthorizationLevel.Anonymous, Route = "first/{value}")] HttpRequest request, string value) => value;

        [Function("Needs")]
        public string Needs([HttpTrigger(AuthorizationLevel.Anonymous, Route = "needs")] HttpRequest request, int count) => $"{count}";
    }

    public sealed class Life
    {
        public int FunctionsDisposed { get; set; }

        public int ScopesDisposed { get; set; }
    }

    public sealed class Scope(Life life) : IDisposable
    {
        public void Dispose() => life.ScopesDisposed++;
    }

    public sealed class Scoped(Scope scope, Life life) : IAsyncDisposable
    {
        private int _calls;

        [Function("Scoped")]
        public string Run([HttpTrigger(AuthorizationLevel.Anonymous, Route = "scoped")] HttpRequest request, FunctionContext context)
        {
            _calls++;
            return _calls == 1 && ReferenceEquals(scope, context.InstanceServices.GetRequiredService<Scope>()) ? "same" : "other";
        }

        public ValueTask DisposeAsync()
        {
            life.FunctionsDisposed++;
            return ValueTask.CompletedTask;
        }
    }

    public static class StaticFunctions
    {
        [Function("Static")]
        public static string Run([HttpTrigger(AuthorizationLevel.Anonymous, Route = "static")] HttpRequest request) => "static";
    }

    public sealed class Traced(List<string> steps)
    {
        [Function("Traced")]
        public string Run([HttpTrigger(AuthorizationLevel.Anonymous, Route = "traced")] HttpRequest request)
        {
            steps.Add("function");
            return "original";
        }
    }

    public sealed class Outer(List<string> steps) : IFunctionsWorkerMiddleware
    {
        public async Task Invoke(FunctionContext context, FunctionExecutionDelegate next)
        {
            steps.Add($"outer in {context.FunctionDefinition.Name}");
            await next(context);
            steps.Add("outer out");
        }
    }

    public sealed class Inner(List<string> steps) : IFunctionsWorkerMiddleware
    {
        public async Task Invoke(FunctionContext context, FunctionExecutionDelegate next)
        {
            steps.Add("inner in");
            await next(context);
            context.GetInvocationResult().Value = "changed";
            steps.Add("inner out");
        }
    }

    public sealed class Never : IFunctionsWorkerMiddleware
    {
        public Task Invoke(FunctionContext context, FunctionExecutionDelegate next) => throw new InvalidOperationException("Its condition is false.");
    }

    public sealed class Throwing
    {
        [Function("ThrowsSync")]
        public string Sync([HttpTrigger(AuthorizationLevel.Anonymous, Route = "throws/sync")] HttpRequest request)
        {
            request.HttpContext.Response.Headers["X-Secret"] = "yes";
            throw new InvalidOperationException("secret detail");
        }

        [Function("ThrowsAsync")]
        public async Task<string> LaterAsync([HttpTrigger(AuthorizationLevel.Anonymous, Route = "throws/async")] HttpRequest request)
        {
            await Task.Yield();
            throw new InvalidOperationException("secret detail");
        }

        [Function("ThrowsLate")]
        public async Task BegunAsync([HttpTrigger(AuthorizationLevel.Anonymous, Route = "throws/late")] HttpRequest request)
        {
            await request.HttpContext.Response.WriteAsync("half of ");
            await request.HttpContext.Response.Body.FlushAsync();
            throw new InvalidOperationException("secret detail");
        }
    }

    public sealed class Waiting
    {
        public TaskCompletionSource Entered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Cancelled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    public sealed class Patient(Waiting waiting)
    {
        [Function("Patient")]
        public async Task RunAsync([HttpTrigger(AuthorizationLevel.Anonymous, Route = "patient")] HttpRequest request, CancellationToken ct)
        {
            waiting.Entered.SetResult();
            await using var registration = ct.Register(waiting.Cancelled.SetResult);
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
        }
    }

    public sealed class TwoOfOneName
    {
        [Function("Twice")]
        public string One([HttpTrigger(AuthorizationLevel.Anonymous)] HttpRequest request) => "";

        [Function("twice")]
        public string Two([HttpTrigger(AuthorizationLevel.Anonymous)] HttpRequest request) => "";
    }

    public sealed class TwoTriggers
    {
        [Function("TwoTriggers")]
        public string Run([HttpTrigger(AuthorizationLevel.Anonymous)] HttpRequest request, [QueueTrigger("q")] string message) => "";
    }

    public sealed class NoTrigger
    {
        [Function("NoTrigger")]
        public string Run(string text) => text;
    }

    public sealed class Unbindable
    {
        [Function("Unbindable")]
        public string Run([HttpTrigger(AuthorizationLevel.Anonymous)] HttpRequest request, Stream stream) => "";
    }

    public sealed class WrongTimer
    {
        [Function("WrongTimer")]
        public void Run([TimerTrigger("0 0 * * * *")] string timer) => Assert.NotNull(timer);
    }
}
