using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentPlatform.Console.Shell;

/// <summary>The answers that any page may give.</summary>
internal static class Pages
{
    internal static IResult NotFound => Problem(404, "Not found", "There is nothing here, or it is not yours to see.");

    internal static RazorComponentResult Problem(int status, string title, string detail) =>
        new RazorComponentResult<ProblemPage>(new { Status = status, Heading = title, Detail = detail }) { StatusCode = status };

    /// <summary>303: the form was taken, look there. A path, never a host: who asked knows where we are.</summary>
    internal static IResult See(string path) => new SeeOther(path);

    private sealed class SeeOther(string path) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.StatusCode = StatusCodes.Status303SeeOther;
            httpContext.Response.Headers.Location = path;
            return Task.CompletedTask;
        }
    }
}
